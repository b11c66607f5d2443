"""Dumps everything in a store as text, to search it for secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import redis

# Not DUMP: it compresses long values, which would hide a secret.
_READ: Final[Mapping[bytes, Callable[[redis.Redis, bytes], Any]]] = {
    b"string": lambda store, key: store.get(key),
    b"hash": lambda store, key: store.hgetall(key),
    b"list": lambda store, key: store.lrange(key, 0, -1),
    b"set": lambda store, key: store.smembers(key),
    b"zset": lambda store, key: store.zrange(key, 0, -1),
}


def plain_values(store: redis.Redis) -> str:
    """Every key with its value, as text."""
    kinds: dict[bytes, Any] = {key: store.type(key) for key in store.scan_iter()}
    return "\n".join(
        f"{key!r} {_READ[kind](store, key)!r}" for key, kind in kinds.items() if kind in _READ
    )
