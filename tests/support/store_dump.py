"""Everything that a store says, to look for what must not be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import redis

# DUMP would not do: it packs long values, and a secret inside them is no longer to be seen.
_READ: Final[Mapping[bytes, Callable[[redis.Redis, bytes], Any]]] = {
    b"string": lambda store, key: store.get(key),
    b"hash": lambda store, key: store.hgetall(key),
    b"list": lambda store, key: store.lrange(key, 0, -1),
    b"set": lambda store, key: store.smembers(key),
    b"zset": lambda store, key: store.zrange(key, 0, -1),
}


def plain_values(store: redis.Redis) -> str:
    """Every key and what it holds, as text."""
    kinds: dict[bytes, Any] = {key: store.type(key) for key in store.scan_iter()}
    return "\n".join(
        f"{key!r} {_READ[kind](store, key)!r}" for key, kind in kinds.items() if kind in _READ
    )
