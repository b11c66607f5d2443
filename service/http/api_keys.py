"""API keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from service.credentials.api_keys import ApiKey


class ApiKeys:
    """The API keys that are accepted.

    Parameters:
      keys: All of them.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._digests = [(_digest(key.secret), key) for key in keys]

    def verify(self, secret: str) -> ApiKey | None:
        """Return the key that a caller has sent; None for an unknown one."""
        digest = _digest(secret)
        # Compare with every key, so that the time taken reveals nothing.
        found = [key for known, key in self._digests if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def verify_header(self, authorization: str) -> ApiKey | None:
        """Return the key that an Authorization header has, or None.

        Parameters:
          authorization: The header's value; empty if the request has none.
        """
        scheme, _, secret = authorization.partition(" ")
        return self.verify(secret.strip() if scheme.lower() == "bearer" else "")


def _digest(secret: str) -> bytes:
    # Digests have one length, so the comparison reveals nothing about the key.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
