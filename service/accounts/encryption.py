"""Encryption keys, derived from `SECRET_KEY`."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_LENGTH: Final = 32
_INFO: Final = b"heliograph/sessions/v1"


class SecretKeyInvalid(ValueError):
    """`SECRET_KEY` is missing, or a part of it is too short."""


def derive_keys(secret_key: str) -> MultiFernet:
    """Make the cipher of everything that is encrypted at rest.

    Each part becomes a key of its own (HKDF, RFC 5869). To rotate: append the new part and
    deploy, then put it first and deploy; by then every process can read what the others write.

    Parameters:
      secret_key: One string of 32 characters or more, or several, separated by commas.

    Returns:
      A cipher that encrypts with the first part and decrypts with any.

    Raises:
      SecretKeyInvalid: When a part is too short. Names its place, never its text.
    """
    parts = [part.strip() for part in secret_key.split(",")]
    for place, part in enumerate(parts, start=1):
        if len(part) < MIN_LENGTH:
            raise SecretKeyInvalid(_too_short(place, len(part), of=len(parts)))
    return MultiFernet([Fernet(_fernet_key(part)) for part in parts])


def _fernet_key(part: str) -> bytes:
    # HKDF without a salt: every process must come to the same key from the setting alone.
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO)
    return base64.urlsafe_b64encode(kdf.derive(part.encode()))


def _too_short(place: int, length: int, *, of: int) -> str:
    which = f"part {place} of {of} has" if of > 1 else "it has"
    return (
        f"SECRET_KEY needs {MIN_LENGTH} characters or more, {which} {length}; "
        "make one with `openssl rand -base64 32`"
    )
