"""How a configured secret can be read as the key of a MAC.

Most providers use the text of the secret as it is. Standard Webhooks says base64 after `whsec_`,
but senders differ:

- Supabase shows its secrets as `v1,whsec_...` (apps/docs, auth hooks, of supabase/supabase).
- Polar signs with the text of a secret that it made before it followed the specification, prefix
  and all, and with the decoded one since (`sign_webhook`, server/polar/webhook/tasks.py of
  polarsource/polar).
- Python's `secrets.token_urlsafe` and its like make base64 with `-` and `_`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Reading = Literal["text", "base64", "text without its prefix"]

_VERSION: Final = "v1,"
_PREFIX: Final = "whsec_"
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


class SecretKey(NamedTuple):
    """The key of a MAC.

    Parameters:
      reading: How the secret was read.
      key: The key; never empty.
    """

    reading: Reading
    key: bytes


def text_keys(secret: str) -> Iterator[SecretKey]:
    """Read a secret as text; raises ValueError if it is empty or not valid Unicode."""
    yield SecretKey("text", _encoded(secret))


def standard_webhooks_keys(secret: str) -> Iterator[SecretKey]:
    """Read a secret in every way that senders are known to mean it, the specified one first.

    Raises:
      ValueError: The secret is empty or not valid Unicode.
    """
    text = _encoded(secret)
    bare = secret.removeprefix(_VERSION).removeprefix(_PREFIX)
    if not bare.strip():
        raise ValueError("the secret is empty after its prefix: copy it again from the provider")
    decoded = _decoded(bare)
    if decoded:
        yield SecretKey("base64", decoded)
    yield SecretKey("text", text)
    if bare != secret:
        yield SecretKey("text without its prefix", bare.encode())


def is_damaged(secret: str) -> bool:
    """Whether a Standard Webhooks secret begins as specified, but is not base64 after that."""
    specified = secret.removeprefix(_VERSION).startswith(_PREFIX)
    return specified and next(standard_webhooks_keys(secret)).reading != "base64"


def _encoded(secret: str) -> bytes:
    if not secret.strip():
        raise ValueError("the secret is empty: set it to the one that the provider shows")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        message = "the secret is not valid UTF-8: copy it again from the provider"
    raise ValueError(message)  # outside the handler: that error carries the secret


def _decoded(text: str) -> bytes:
    encoded = text.rstrip("=").encode().translate(_STANDARD_ALPHABET)
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
