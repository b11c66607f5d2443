"""The embedded Valkey, as the stack and the tests start it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis

from deploy.local.valkey import Valkey

THREADS = 4


def test_stores_that_start_concurrently_restore_the_environment(tmp_path: Path) -> None:
    def start(number: int) -> bool:
        directory = tmp_path / str(number)
        directory.mkdir()
        with Valkey(directory) as store, redis.Redis.from_url(store.url) as client:
            tunables = Path(f"/proc/{store.pid}/environ").read_bytes()
            return bool(client.ping()) and b"GLIBC_TUNABLES=glibc.malloc" in tunables

    before = dict(os.environ)
    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(start, range(2 * THREADS)))
    assert dict(os.environ) == before
