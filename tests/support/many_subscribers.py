"""Many subscribers to one web process at a time."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: How many connect at a time.
_BATCH = 50


async def subscribe_many(port: int, head: bytes, count: int) -> list[Connection]:
    """Open connections, a batch at a time, and wait for the first event of each.

    Parameters:
      port: The process' port.
      head: The request.
      count: How many.
    """
    gate = asyncio.Semaphore(_BATCH)

    async def one() -> Connection:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            await reader.readuntil(b"{")
            return reader, writer

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def wait_for_word(connections: list[Connection], word: bytes) -> None:
    """Wait until every connection has received this word."""
    await asyncio.gather(*(reader.readuntil(word) for reader, _ in connections))


async def close_all(connections: list[Connection]) -> None:
    """Close every connection."""
    for _, writer in connections:
        writer.close()
    await asyncio.gather(
        *(writer.wait_closed() for _, writer in connections), return_exceptions=True
    )


def request(path: str, key: str, *, upgraded: bool = False) -> bytes:
    """A subscriber's request.

    Parameters:
      path: The stream's path.
      key: An API key.
      upgraded: Whether to open a WebSocket.
    """
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    if upgraded:
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {nonce}"]
    return "\r\n".join([*lines, "", ""]).encode()


def resident_bytes(pid: int) -> int:
    """A process' resident memory, in bytes."""
    output = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
    return int(output.stdout) * 1024
