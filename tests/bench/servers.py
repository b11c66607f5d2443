"""Runs the baselines in the same way as the web process."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.procfile import Process
from deploy.local.wait import free_port, until
from tests.bench.cores import pin


@dataclass(frozen=True)
class Server:
    """A server under test.

    Parameters:
      url: Its URL.
      process: Its process; None if the caller manages it.
    """

    url: str
    process: Process | None = None

    @property
    def hook(self) -> str:
        """The URL for webhooks."""
        return f"{self.url}/webhooks/stripe"


@contextmanager
def baseline(name: str, environ: Mapping[str, str], directory: Path) -> Iterator[Server]:
    """Run one on the server's core until the block ends.

    Parameters:
      name: Its module's name in `baselines/`.
      environ: Its whole environment, except the port.
      directory: For its output.
    """
    port = free_port()
    log = directory / f"{name}.log"
    command = f"python -m tests.bench.baselines.{name}"
    process = Process(name, command, {**environ, "PORT": str(port)}, log)
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        until(lambda: _answers(server), 20, name)
        pin(process.pid)
        yield server
    finally:
        process.kill()


def _answers(server: Server) -> bool:
    if server.process is not None and server.process.returncode is not None:
        raise RuntimeError(server.process.log.read_text()[-2000:])
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
