"""Real servers on loopback that misbehave in one way each, as customers' servers do."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\n"
#: Makes a close send a RST instead of a FIN.
LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass
class MisbehavingServer:
    """A running server and its statistics.

    Parameters:
      port: Where it listens, on 127.0.0.1.
      scheme: `http` or `https`.
      connections: Connections accepted.
      requests: Heads and bodies, as received.
      bytes_sent: Bytes that the endless behaviours have handed to the kernel.
      in_flight: Open conversations.
      peak_in_flight: The most open conversations at any time.
      accepted: Set with the first connection.
      request_received: Set with the first complete request.
      hung_up: Set when a client disconnects from a behaviour that waits for it.
    """

    port: int
    scheme: str = "http"
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    bytes_sent: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    request_received: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, host: str = "127.0.0.1", path: str = "/hook") -> str:
        """The server's URL."""
        return f"{self.scheme}://{host}:{self.port}{path}"


@dataclass
class Conversation:
    """One connection to a misbehaving server."""

    server: MisbehavingServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_request(self) -> bytes:
        """Read one complete request and record it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        body = await self.reader.readexactly(_content_length(head))
        self.server.requests.append(head + body)
        self.server.request_received.set()
        return head + body

    async def send(self, data: bytes) -> None:
        """Send, and wait until the kernel has taken it."""
        self.writer.write(data)
        await self.writer.drain()
        self.server.bytes_sent += len(data)

    async def wait_for_hang_up(self) -> None:
        """Send nothing until the client disconnects."""
        with suppress(ConnectionError):
            await self.reader.read()
        self.server.hung_up.set()

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.writer.transport.abort()


Behaviour = Callable[[Conversation], Awaitable[None]]


@asynccontextmanager
async def serve(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[MisbehavingServer]:
    """Run a misbehaving server on a free port.

    Parameters:
      behaviour: What it does with each connection.
      tls: Its certificate, for HTTPS.
    """
    hostile = MisbehavingServer(port=0, scheme="https" if tls else "http")
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await _converse(hostile, behaviour, Conversation(hostile, reader, writer))
        finally:
            writer.transport.abort() if task.cancelling() else writer.close()
            conversations.discard(task)

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await server.wait_closed()


async def _converse(
    hostile: MisbehavingServer, behaviour: Behaviour, conversation: Conversation
) -> None:
    hostile.connections += 1
    hostile.accepted.set()
    hostile.in_flight += 1
    hostile.peak_in_flight = max(hostile.peak_in_flight, hostile.in_flight)
    try:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await behaviour(conversation)
    finally:
        hostile.in_flight -= 1


def answers(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answers every request of a connection as a decent server would.

    Parameters:
      status: The status.
      body: The body.
      headers: Further headers; `retry_after` for `retry-after`.
    """
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def behaviour(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await conversation.send(answer)

    return behaviour


def answers_after(seconds: float) -> Behaviour:
    """Takes its time, then answers 204 and closes."""

    async def behaviour(conversation: Conversation) -> None:
        await conversation.read_request()
        await asyncio.sleep(seconds)
        await conversation.send(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")

    return behaviour


def sends(raw: bytes) -> Behaviour:
    """Sends these bytes after the request and hangs up in an orderly way."""

    async def behaviour(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.send(raw)

    return behaviour


def repeats(start: bytes, again: bytes, *, pause_seconds: float = 0) -> Behaviour:
    """Sends `start`, then `again` for as long as anybody listens.

    Parameters:
      start: Once, after the request.
      again: For ever; the endless body, headers or informational answers.
      pause_seconds: Between two of them: a drip instead of a flood.
    """

    async def behaviour(conversation: Conversation) -> None:
        await conversation.read_request()
        sock = conversation.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        # Not 0, with which asyncio's TLS transport never resumes after it was full once.
        conversation.writer.transport.set_write_buffer_limits(high=1, low=0)
        try:
            await conversation.send(start)
            while True:
                await conversation.send(again)
                await asyncio.sleep(pause_seconds)
        finally:
            conversation.server.hung_up.set()

    return behaviour


async def hangs_before_headers(conversation: Conversation) -> None:
    """Reads the request and never says a word."""
    await conversation.read_request()
    await conversation.wait_for_hang_up()


async def hangs_in_the_body(conversation: Conversation) -> None:
    """Promises a body, begins it, and falls silent."""
    await conversation.read_request()
    await conversation.send(OK + b"content-length: 100\r\n\r\nso far")
    await conversation.wait_for_hang_up()


async def hangs_at_once(conversation: Conversation) -> None:
    """Accepts the connection and ignores whatever comes."""
    await conversation.wait_for_hang_up()


async def resets(conversation: Conversation) -> None:
    """Answers the request with a RST."""
    await conversation.read_request()
    conversation.reset()


async def resets_after_headers(conversation: Conversation) -> None:
    """Answers 200 with a body to come, waits to be heard, then resets."""
    await conversation.read_request()
    await conversation.send(OK + b"content-length: 100\r\n\r\n")
    await asyncio.sleep(0.05)
    conversation.reset()


def gzip_bomb() -> Behaviour:
    """A body without end that inflates a thousandfold."""
    return repeats(
        OK + b"content-encoding: gzip\r\nconnection: close\r\n\r\n",
        gzip.compress(bytes(16 * 1024 * 1024)),
    )


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
