"""A small application behind the web process' protocols, with limits of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send

from deploy.local.wait import until
from service.http.connections import CONNECTIONS, ConnectionLimits, Connections
from service.web import SERVING

#: What `/large` answers: more than the sockets of both sides hold.
LARGE_BYTES = 16 * 1024 * 1024


@dataclass
class BoundedServer:
    """The server; its paths say how it answers.

    Parameters:
      port: Where it listens.
      connections: Its connections.
      counted: What they counted, by counter and label.
      headers: Of the latest request whose body was read.
      release: Lets `/wait` answer.
    """

    limits: ConnectionLimits
    port: int = 0
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.connections = Connections(self.limits, self._count)

    def _count(self, name: str, label: str) -> None:
        self.counted[name, label] += 1

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/unread` reads no body, `/wait` waits for `release`, `/large` answers a lot."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope["state"][CONNECTIONS] = self.connections
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            await asyncio.to_thread(self.release.wait)
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["path"] != "/unread":
            body = await _read(receive)
            self.headers = list(scope["headers"])
        if scope["path"] == "/wait":
            await asyncio.to_thread(self.release.wait)
        if scope["path"] == "/large":
            body = bytes(LARGE_BYTES)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def flood(connection: socket.socket, piece: bytes, times: int) -> bool:
    """Send a piece again and again; return whether the server has stopped it."""
    try:
        for _ in range(times):
            connection.sendall(piece)
    except OSError:
        return True
    return False


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


@contextmanager
def run_bounded(limits: ConnectionLimits) -> Iterator[BoundedServer]:
    """Serve in a thread until the end of the block."""
    bounded = BoundedServer(limits)
    options = {**SERVING, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(
        uvicorn.Config(bounded.app, lifespan="on", interface="asgi3", **options)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bounded.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until(lambda: server.started, 5)
        try:
            yield bounded
        finally:
            bounded.release.set()
            server.should_exit = True
            thread.join(10)
