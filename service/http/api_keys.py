"""API keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


class ApiKeys:
    """The API keys that are accepted.

    Parameters:
      keys: API keys by the name of the caller each was issued to.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._digests = {name: _digest(key) for name, key in keys.items()}

    def verify(self, key: str) -> str | None:
        """Return the name of the caller that owns the key; None for an unknown key."""
        digest = _digest(key)
        # Compare with every key, so that the time taken reveals nothing.
        names = [
            name for name, known in self._digests.items() if hmac.compare_digest(known, digest)
        ]
        return names[0] if names else None

    def verify_header(self, authorization: str) -> str | None:
        """Return the name of the caller that an Authorization header identifies, or None.

        Parameters:
          authorization: The header's value; empty if the request has none.
        """
        scheme, _, key = authorization.partition(" ")
        return self.verify(key.strip() if scheme.lower() == "bearer" else "")


def _digest(key: str) -> bytes:
    # Digests have one length, so the comparison reveals nothing about the key.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
