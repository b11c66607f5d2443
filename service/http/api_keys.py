"""Who calls: the API keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


class ApiKeys:
    """The keys that open the API.

    Parameters:
      keys: By the name of whom each was given to.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._digests = {name: _digest(key) for name, key in keys.items()}

    def verify(self, key: str) -> str | None:
        """Whose key this is; None for nobody's.

        Parameters:
          key: As it was sent.
        """
        given = _digest(key)
        # All of them are compared: how long it takes tells nothing.
        names = [name for name, known in self._digests.items() if hmac.compare_digest(known, given)]
        return names[0] if names else None

    def verify_header(self, authorization: str) -> str | None:
        """Whose key an Authorization header carries; None for nobody's.

        Parameters:
          authorization: The header's value; empty where there is none.
        """
        scheme, _, key = authorization.partition(" ")
        return self.verify(key.strip() if scheme.lower() == "bearer" else "")


def _digest(key: str) -> bytes:
    # Of one length whatever was sent, so that comparing tells nothing.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
