"""Encryption keys, derived from `SECRET_KEY`."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_LENGTH: Final = 32


class SecretKeyInvalid(ValueError):
    """`SECRET_KEY` is missing or too short."""


def derive_each(secret_key: str, purpose: bytes) -> list[bytes]:
    """Derive one 32-byte key from each part of `SECRET_KEY` (HKDF, RFC 5869).

    Parameters:
      secret_key: One string of 32 characters or more, or several separated by commas.
      purpose: What the keys are for: keys for one purpose tell nothing about those for another.

    Raises:
      SecretKeyInvalid: A part is too short; the message gives its position, never its text.
    """
    parts = [part.strip() for part in secret_key.split(",")]
    for position, part in enumerate(parts, start=1):
        if len(part) < MIN_LENGTH:
            raise SecretKeyInvalid(_too_short(position, len(part), count=len(parts)))
    return [_derive(part, purpose) for part in parts]


def _derive(part: str, purpose: bytes) -> bytes:
    # No salt: every process must derive the same key from the setting alone.
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(part.encode())


def _too_short(position: int, length: int, *, count: int) -> str:
    subject = f"part {position} of {count}" if count > 1 else "it"
    return (
        f"SECRET_KEY needs {MIN_LENGTH} characters or more, {subject} has {length}; "
        "generate one with `openssl rand -base64 32`"
    )
