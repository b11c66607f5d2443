"""Searches a whole store for words about a person, in any case and through compression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import redis

from service.followers.rows import unpack

#: Keys read in one round trip.
_AT_ONCE: Final = 500

_READ: Final[Mapping[bytes, Callable[[Any, bytes], Any]]] = {
    b"string": lambda store, key: store.get(key),
    b"hash": lambda store, key: store.hgetall(key),
    b"list": lambda store, key: store.lrange(key, 0, -1),
    b"set": lambda store, key: store.smembers(key),
    b"zset": lambda store, key: store.zrange(key, 0, -1),
    b"stream": lambda store, key: store.xrange(key),
}


def keys_about(store: redis.Redis, *words: str) -> list[str]:
    """The keys that have one of the words in their name or value, in any case."""
    wanted = [word.lower() for word in words]
    return sorted(
        name
        for name, text in _texts(store)
        if any(word in name.lower() or word in text for word in wanted)
    )


def _texts(store: redis.Redis) -> Iterator[tuple[str, str]]:
    keys = list(store.scan_iter(count=1_000))
    for first in range(0, len(keys), _AT_ONCE):
        batch = keys[first : first + _AT_ONCE]
        for key, value in zip(batch, _values(store, batch), strict=True):
            text = repr(value).lower()
            if key.startswith(b"hg:rows:"):
                text += "".join(map(repr, _rows(value))).lower()
            yield key.decode("utf-8", "backslashreplace"), text


def _values(store: redis.Redis, keys: list[bytes]) -> list[Any]:
    with store.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.type(key)
        kinds: list[bytes] = pipe.execute()
        for key, kind in zip(keys, kinds, strict=True):
            _READ[kind](pipe, key)
        return pipe.execute()


def _rows(members: list[bytes]) -> Iterator[bytes]:
    for member in members:
        yield from unpack(member.partition(b":")[2])
