"""The cipher for what people wrote: event bodies, texts, photos.

An encrypted value is MAGIC, 4 bytes that tell its key, a nonce of 12 bytes, and what AES-256-GCM
made of it, whose tag of 16 bytes is the end. A text is stored as base64 of that. Each value is
encrypted for one place, its associated data: it cannot be read in another.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import urandom
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from service.encryption.keys import derive_each

#: No compressed body and no JPEG begins like this.
MAGIC: Final = b"\x00hg1"
#: What the base64 of every encrypted value begins with.
MAGIC_TEXT: Final = "AGhnM"
KEY_ID_BYTES: Final = 4
#: What tells how a value is encrypted.
HEAD_BYTES: Final = len(MAGIC) + KEY_ID_BYTES
#: As NIST SP 800-38D, 8.2.2 recommends; random nonces are safe for 2^32 values of one key.
NONCE_BYTES: Final = 12

_PURPOSE: Final = b"heliograph/at-rest/v1"
_DATA_AT: Final = HEAD_BYTES + NONCE_BYTES


#: How a value is stored: without encryption, under the first key of SECRET_KEY, under another of
#: them, or under none.
KeyState = Literal["plain", "first", "old", "unknown"]


class Unreadable(Exception):
    """An encrypted value cannot be read: its key is missing, or it is not in its place."""


@dataclass(frozen=True)
class Cipher:
    """Encrypts with the first key of `SECRET_KEY`, decrypts with any of them.

    Parameters:
      keys: By the id that values name them by; the first encrypts.
      enabled: Whether new values are encrypted (`ENCRYPT_AT_REST`). Stored ones are decrypted in
        any case.
    """

    keys: Mapping[bytes, AESGCM] = field(repr=False)
    enabled: bool = True

    @classmethod
    def of(cls, secret_key: str, *, enabled: bool = True) -> Cipher:
        """Derive the keys.

        Raises:
          SecretKeyInvalid: A part of `SECRET_KEY` is too short.
        """
        derived = derive_each(secret_key, _PURPOSE)
        return cls({_key_id(key): AESGCM(key) for key in derived}, enabled)

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """Encrypt a value for a place (service/encryption/places.py)."""
        key_id, key = next(iter(self.keys.items()))
        nonce = urandom(NONCE_BYTES)
        return MAGIC + key_id + nonce + key.encrypt(nonce, plain, place)

    def decrypt(self, stored: bytes, place: bytes) -> bytes:
        """Decrypt a value; one that is not encrypted is returned as it is.

        Raises:
          Unreadable: None of the keys decrypts it, or it was encrypted for another place.
        """
        if not is_encrypted(stored):
            return stored
        key = self.keys.get(stored[len(MAGIC) : HEAD_BYTES])
        if key is None:
            raise Unreadable("no part of SECRET_KEY has encrypted it")
        try:
            return key.decrypt(stored[HEAD_BYTES:_DATA_AT], stored[_DATA_AT:], place)
        except (InvalidTag, ValueError):
            raise Unreadable("it was changed, or encrypted for another place") from None

    def encrypt_text(self, text: str, place: bytes) -> str:
        """Encrypt a text for a place, as text."""
        return b2a_base64(self.encrypt(text.encode(), place), newline=False).decode()

    def decrypt_text(self, stored: str, place: bytes) -> str:
        """Decrypt what `encrypt_text` returned; errors as those of `decrypt`."""
        try:
            return self.decrypt(a2b_base64(stored, strict_mode=True), place).decode()
        except ValueError:
            raise Unreadable("it was changed") from None

    def key_state(self, head: bytes) -> KeyState:
        """How a value is stored, by its first HEAD_BYTES bytes."""
        if not is_encrypted(head):
            return "plain"
        key_id = head[len(MAGIC) : HEAD_BYTES]
        if key_id not in self.keys:
            return "unknown"
        return "first" if key_id == next(iter(self.keys)) else "old"

    @property
    def current(self) -> KeyState:
        """How new values are stored."""
        return "first" if self.enabled else "plain"


def is_encrypted(stored: bytes) -> bool:
    """Whether a stored body or photo is encrypted; a text may only look like it."""
    return stored.startswith(MAGIC)


def _key_id(key: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(b"heliograph/key-id/v1" + key)
    return digest.finalize()[:KEY_ID_BYTES]
