"""The cipher for the secrets of accounts: sessions and verification codes."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.fernet import Fernet, MultiFernet

from service.encryption.keys import derive_each

_PURPOSE: Final = b"heliograph/sessions/v1"


def derive_keys(secret_key: str) -> MultiFernet:
    """Make the cipher for sessions and verification codes.

    Each part of the setting becomes one key. To rotate, append the new part and
    deploy, then move it to the front and deploy again: every process can then decrypt what the
    others write at any time.

    Parameters:
      secret_key: One string of 32 characters or more, or several separated by commas.

    Returns:
      A cipher that encrypts with the first key and decrypts with any of them.

    Raises:
      SecretKeyInvalid: A part is too short; the message gives its position, never its text.
    """
    return MultiFernet(derive_fernets(secret_key))


def derive_fernets(secret_key: str) -> list[Fernet]:
    """Make the ciphers of the parts of `SECRET_KEY`, in their order; errors as `derive_keys`."""
    keys = derive_each(secret_key, _PURPOSE)
    return [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
