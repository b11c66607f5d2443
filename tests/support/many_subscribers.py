"""Many listeners to one web process at a time."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: How many knock at once.
_AT_ONCE = 50


async def subscribe_many(port: int, head: bytes, count: int) -> list[Connection]:
    """Open connections, a few at a time, each until it has been told something.

    Parameters:
      port: Where the process listens.
      head: The request.
      count: How many.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Connection:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            await reader.readuntil(b"{")
            return reader, writer

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def wait_for_word(crowd: list[Connection], word: bytes) -> None:
    """Wait until everybody was told something with this word in it."""
    await asyncio.gather(*(reader.readuntil(word) for reader, _ in crowd))


async def close_all(crowd: list[Connection]) -> None:
    """Hang up."""
    for _, writer in crowd:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in crowd), return_exceptions=True)


def request(path: str, key: str, *, upgraded: bool = False) -> bytes:
    """The request of a listener.

    Parameters:
      path: What to listen to.
      key: An API key.
      upgraded: Whether for a WebSocket.
    """
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    if upgraded:
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {nonce}"]
    return "\r\n".join([*lines, "", ""]).encode()


def resident_bytes(pid: int) -> int:
    """How many bytes of memory a process has."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
    return int(told.stdout) * 1024
