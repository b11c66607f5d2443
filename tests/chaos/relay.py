"""A TCP relay in front of the store that can delay, stall and cut connections."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

_CHUNK: Final = 64 * 1024
#: How often a stalled connection checks whether its stall was extended or cleared.
_POLL_SECONDS: Final = 0.05

T = TypeVar("T")


class _Link:
    """A client's connection and its counterpart to the store."""

    def __init__(self, client: asyncio.StreamWriter, store: asyncio.StreamWriter) -> None:
        self._ends = (client, store)
        self.stalled_until = 0.0

    def cut(self) -> None:
        """Reset both ends; data in transit is lost."""
        for end in self._ends:
            end.transport.abort()


class Relay:
    """Relays a loopback port to the store, on a loop in a thread of its own.

    Parameters:
      upstream: Gives the store's URL for each new connection.
    """

    def __init__(self, upstream: Callable[[], str]) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._links: list[_Link] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self._seconds_each_way = 0.0
        self._stalled_until = 0.0
        self._server: asyncio.Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Start listening."""
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop, and cut every connection."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, like: str) -> str:
        """The relay's URL.

        Parameters:
          like: The store's URL, whose database and credentials are kept.
        """
        parts = urlsplit(like)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self._port}"))

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    def delay(self, seconds: float) -> None:
        """Delay every byte by this much in either direction; 0 ends the delay."""
        self._seconds_each_way = seconds

    def stall(self, seconds: float) -> None:
        """Forward nothing for this long; connections stay open, and new ones are accepted."""
        self._stalled_until = time.monotonic() + seconds

    def stall_one(self, share: float, seconds: float) -> bool:
        """Stall one connection.

        Parameters:
          share: Which one: its relative position among the open ones, in [0, 1).
          seconds: For how long.

        Returns:
          Whether there was one.
        """
        links = list(self._links)
        for link in links[int(share * len(links)) :][:1]:
            link.stalled_until = time.monotonic() + seconds
        return bool(links)

    def cut(self) -> int:
        """Cut every connection; returns how many there were."""

        async def cut() -> int:
            for link in self._links:
                link.cut()
            return len(self._links)

        return self._run(cut())

    def clear(self) -> None:
        """End every delay and stall."""
        self._seconds_each_way = self._stalled_until = 0.0
        for link in list(self._links):
            link.stalled_until = 0.0

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        # Only `_stop` cancels; asyncio's streams would report a canceled handler.
        with suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()
        self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self._upstream())
        replies, store = await asyncio.open_connection(address.hostname, address.port)
        link = _Link(writer, store)
        self._links.append(link)
        directions = [
            asyncio.ensure_future(self._forward(link, reader, store)),
            asyncio.ensure_future(self._forward(link, replies, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.remove(link)
            link.cut()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _forward(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self._seconds_each_way)
            while (left := self._stalled_for(link)) > 0:  # noqa: ASYNC110 - the end may move
                await asyncio.sleep(min(left, _POLL_SECONDS))
            writer.write(data)
            await writer.drain()

    def _stalled_for(self, link: _Link) -> float:
        """For how many more seconds a connection is stalled."""
        return max(self._stalled_until, link.stalled_until) - time.monotonic()
