"""A rotation of `SECRET_KEY`: the two keys, and ledgers of processes that have them."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from service.encryption.cipher import Cipher
from tests.support.ledger import TIMES, open_ledger

OLD, NEW = (hashlib.sha256(name).hexdigest() for name in (b"old", b"new"))
#: What `heliograph secret rotate` says at its end.
MAY_GO: Final = "nothing is encrypted under an old key any more: remove it from SECRET_KEY\n"


def opened(store_url: str, secret_key: str, *, enabled: bool = True) -> Any:
    return open_ledger(store_url, TIMES, Cipher.of(secret_key, enabled=enabled))
