"""Instagram's password envelope, and TOTP codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_IV = slice(2, 14)
_SIZE = slice(14, 16)
_BODY = 16
_TAG_BYTES = 16
_TOTP_STEP_SECONDS = 30


@dataclass(frozen=True)
class PasswordKey:
    """The key pair behind `ig-set-password-encryption-pub-key`."""

    private: rsa.RSAPrivateKey
    id: int = 41

    @classmethod
    def generate(cls) -> PasswordKey:
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def public_header(self) -> str:
        """The public key as Instagram sends it: PEM in base64."""
        pem = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(pem).decode()

    def open(self, envelope: str) -> str | None:
        """Decrypt a password from `#PWD_INSTAGRAM:4:<time>:<base64>`.

        The payload is: version, key id, IV (12 bytes), length of the wrapped key (2 bytes,
        little-endian), an AES key wrapped with RSA, GCM tag (16 bytes), ciphertext; the time is
        authenticated with it.

        Returns:
            The password, or None if the envelope is invalid.
        """
        scheme, _, rest = envelope.partition(":4:")
        stamp, _, encoded = rest.partition(":")
        if scheme != "#PWD_INSTAGRAM":
            return None
        try:
            return self._open_payload(base64.b64decode(encoded), stamp)
        except (ValueError, InvalidTag):
            return None

    def _open_payload(self, payload: bytes, stamp: str) -> str:
        size = int.from_bytes(payload[_SIZE], "little")
        wrapped, sealed = payload[_BODY : _BODY + size], payload[_BODY + size :]
        key = self.private.decrypt(wrapped, padding.PKCS1v15())
        tag, ciphertext = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        return AESGCM(key).decrypt(payload[_IV], ciphertext + tag, stamp.encode()).decode()


def totp_matches(seed: str, code: str, at: float | None = None) -> bool:
    """Whether a TOTP code matches the seed (RFC 6238), up to one 30 s step early or late.

    Parameters:
        seed: base32, padding optional.
        at: Unix time in seconds; None for now.
    """
    step = int((time.time() if at is None else at) // _TOTP_STEP_SECONDS)
    return any(
        hmac.compare_digest(_code(seed, near), code.strip()) for near in range(step - 1, step + 2)
    )


def _code(seed: str, step: int) -> str:
    key = base64.b32decode(seed + "=" * (-len(seed) % 8), casefold=True)
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
