"""A slow server that stands for the outside, and counts concurrent requests.

    python -m tests.bench.slow_server PORT

listens on every loopback address, so that each is an origin of its own. `PUT /seconds/2` sets how
long everybody else waits for a 204; `GET /most` tells how many waited at once since then.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from deploy.local.procfile import Process
from deploy.local.wait import free_port, until


class _Slow:
    def __init__(self) -> None:
        self._seconds = 0.0
        self._waiting = 0
        self._most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, one request after another."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                _, _, after = head.partition("content-length:")
                await reader.readexactly(int(after.partition("\r\n")[0] or 0))
                writer.write(await self._answer(head.split(" ", 2)[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, path: str) -> bytes:
        if path.startswith("/seconds/"):
            self._seconds, self._most = float(path.rpartition("/")[2]), 0
        elif path == "/most":
            said = json.dumps(self._most)
            return f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode()
        else:
            await self._wait()
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    async def _wait(self) -> None:
        self._waiting += 1
        self._most = max(self._most, self._waiting)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._waiting -= 1


class SlowServer:
    """The slow server's control.

    Parameters:
      port: Where it listens, on 127.0.0.1 to 127.255.255.254.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def take(self, seconds: float) -> None:
        """From now on delay every response by this much."""
        self._ask("PUT", f"/seconds/{seconds}")

    def most(self) -> int:
        """The most concurrent requests since then."""
        return int(json.loads(self._ask("GET", "/most")))

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            said: bytes = answer.read()
        return said


@contextmanager
def run_slow_server(directory: Path) -> Iterator[SlowServer]:
    """Run one in a process of its own.

    Parameters:
      directory: For its output.
    """
    slow_server = SlowServer(free_port())
    command = f"python -m tests.bench.slow_server {slow_server.port}"
    process = Process("slow_server", command, os.environ, directory / "slow.log")
    try:
        until(lambda: _listens(slow_server), 10, "the slow server")
        yield slow_server
    finally:
        process.kill()


def _listens(slow_server: SlowServer) -> bool:
    try:
        slow_server.take(0)
    except OSError:
        return False
    return True


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(_Slow().serve, "0.0.0.0", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
