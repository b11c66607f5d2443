"""GETs over a few keep-alive connections: prepared requests, responses barely parsed.

The load must cost less than what it measures, so this is a protocol of the loop and no client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass
class Answers:
    """The responses of a load.

    Parameters:
      seconds: Each response time.
      statuses: The count of each status.
      elapsed: From the first request to the last response, in seconds.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Responses per second."""
        return len(self.seconds) / self.elapsed

    def percentile_ms(self, share: float) -> float:
        """The response time at this quantile, in ms."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def get_of(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A complete GET request as bytes.

    Parameters:
      url: Its URL.
      headers: Headers besides `Host`.
    """
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    lines = [f"GET {parts.path}{query} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def fetch(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int,
    pause_seconds: float = 0.0,
) -> Answers:
    """Send the same few requests repeatedly.

    Parameters:
      port: The server's port on loopback.
      requests: Sent in turns over each connection.
      seconds: For how long.
      connections: How many at a time.
      pause_seconds: From a response to the next request on its connection.
    """
    return uvloop.run(_fetch(port, requests, seconds, connections, pause_seconds))


async def _fetch(
    port: int, requests: Sequence[bytes], seconds: float, connections: int, pause: float
) -> Answers:
    loop = asyncio.get_running_loop()
    answers = Answers()
    began = time.perf_counter()
    opened = [
        await loop.create_connection(
            lambda: _Asker(requests, answers, began + seconds, pause), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(asker.done for _, asker in opened))
    answers.elapsed = time.perf_counter() - began
    return answers


class _Asker(asyncio.Protocol):
    """One connection: a request, its response, the next request."""

    def __init__(
        self, requests: Sequence[bytes], answers: Answers, until: float, pause: float
    ) -> None:
        self._requests = requests
        self._answers = answers
        self._until = until
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._asked = 0
        self._buffer = b""
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        length = self._buffer.find(_LENGTH, 0, end + 2)
        size = 0
        if length >= 0:
            start = length + len(_LENGTH)
            size = int(self._buffer[start : self._buffer.index(b"\r", start)])
        if len(self._buffer) < end + len(_HEAD_END) + size:
            return
        self._answered(int(self._buffer[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server ended the connection"))

    def _answered(self, status: int) -> None:
        now = time.perf_counter()
        self._answers.seconds.append(now - self._began)
        self._answers.statuses[status] = self._answers.statuses.get(status, 0) + 1
        self._buffer = b""
        if now >= self._until:
            self.done.set_result(None)
            self._transport.close()
        elif self._pause:
            self._loop.call_later(self._pause, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._asked % len(self._requests)])
        self._asked += 1
