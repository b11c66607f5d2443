"""Signs callbacks according to Standard Webhooks (https://www.standardwebhooks.com).

Pure. A signature is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`: one token per
active secret, separated by exactly one space.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64

_FORMAT: Final = (
    f"must be `{PREFIX}` followed by the padded standard base64 "
    f"of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes"
)


def decode_secret(secret: str) -> bytes:
    """Return the key of a callback's signing secret.

    Parameters:
      secret: `whsec_...`, exactly as the receiver has it.

    Returns:
      The raw key, 24 to 64 bytes.

    Raises:
      ValueError: The secret has another format; the message does not repeat it.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret {_FORMAT}: the prefix is missing")
    key = _decode_base64(secret.removeprefix(PREFIX))
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"a signing secret {_FORMAT}: this one holds {len(key)} bytes")
    return key


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the `webhook-signature` header.

    Parameters:
      secrets: The active secrets, at least one; several during a rotation.
      message_id: The `webhook-id`; without a full stop, which separates the signed parts.
      timestamp: Unix seconds of this attempt.
      body: The exact bytes that are sent.

    Returns:
      One `v1,<base64>` token per secret, in their order.

    Raises:
      ValueError: There is no secret, one is malformed, or the id has a full stop.
    """
    if not secrets:
        raise ValueError("a callback needs at least one signing secret")
    if "." in message_id:
        raise ValueError("a webhook-id must not contain a full stop")
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(_token(decode_secret(secret), content) for secret in secrets)


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers with which a receiver verifies one attempt.

    Parameters:
      secrets: The active secrets, at least one.
      message_id: The same for every retry and replay of one delivery.
      timestamp: Unix seconds of this attempt.
      body: The exact bytes that are sent.

    Returns:
      `webhook-id`, `webhook-timestamp` and `webhook-signature`.

    Raises:
      ValueError: As `sign` does.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }


def _token(key: bytes, content: bytes) -> str:
    digest = hmac.digest(key, content, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # Not chained: the cause's message may quote the secret.
        raise ValueError(f"a signing secret {_FORMAT}: the base64 cannot be read") from None
