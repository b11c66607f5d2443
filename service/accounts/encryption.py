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
    """`SECRET_KEY` is missing or too short."""


def derive_keys(secret_key: str) -> MultiFernet:
    """Make the cipher for everything that is encrypted at rest.

    Each part of the setting becomes one key (HKDF, RFC 5869). To rotate, append the new part and
    deploy, then move it to the front and deploy again: every process can then decrypt what the
    others write at any time.

    Parameters:
      secret_key: One string of 32 characters or more, or several separated by commas.

    Returns:
      A cipher that encrypts with the first key and decrypts with any of them.

    Raises:
      SecretKeyInvalid: A part is too short; the message gives its position, never its text.
    """
    parts = [part.strip() for part in secret_key.split(",")]
    for position, part in enumerate(parts, start=1):
        if len(part) < MIN_LENGTH:
            raise SecretKeyInvalid(_too_short(position, len(part), count=len(parts)))
    return MultiFernet([Fernet(_fernet_key(part)) for part in parts])


def _fernet_key(part: str) -> bytes:
    # No salt: every process must derive the same key from the setting alone.
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO)
    return base64.urlsafe_b64encode(kdf.derive(part.encode()))


def _too_short(position: int, length: int, *, count: int) -> str:
    subject = f"part {position} of {count}" if count > 1 else "it"
    return (
        f"SECRET_KEY needs {MIN_LENGTH} characters or more, {subject} has {length}; "
        "generate one with `openssl rand -base64 32`"
    )
