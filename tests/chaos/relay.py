"""A TCP relay in front of the store: what goes through it can be late, stand still, or be cut."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

_CHUNK: Final = 64 * 1024
#: How often a standstill is looked at: it can be prolonged, and called off.
_LOOK_SECONDS: Final = 0.05

T = TypeVar("T")


class _Link:
    """One connection and its counterpart at the store."""

    def __init__(self, client: asyncio.StreamWriter, store: asyncio.StreamWriter) -> None:
        self._ends = (client, store)
        self.still_until = 0.0

    def cut(self) -> None:
        """Reset both ends, with whatever is on its way."""
        for end in self._ends:
            end.transport.abort()


class Relay:
    """Relays a loopback port to the store, on a loop in a thread of its own.

    Parameters:
      upstream: Tells the store's URL when a connection is made.
    """

    def __init__(self, upstream: Callable[[], str]) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._links: list[_Link] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self._seconds_each_way = 0.0
        self._still_until = 0.0
        self._server: asyncio.Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Listen."""
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
        """The URL that leads through the relay.

        Parameters:
          like: The store's; its database and credentials are kept.
        """
        parts = urlsplit(like)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self._port}"))

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._links)

    def delay(self, seconds: float) -> None:
        """Make every byte late by so much on its way, in either direction; 0: as it was."""
        self._seconds_each_way = seconds

    def stall(self, seconds: float) -> None:
        """Let nothing through for so long, over connections old and new; all of them stay open."""
        self._still_until = time.monotonic() + seconds

    def stall_one(self, share: float, seconds: float) -> bool:
        """Let nothing through one connection for so long.

        Parameters:
          share: Which one: its place among those that there are, from 0 up to 1.
          seconds: For how long.

        Returns:
          Whether there was one.
        """
        links = list(self._links)
        for link in links[int(share * len(links)) :][:1]:
            link.still_until = time.monotonic() + seconds
        return bool(links)

    def cut(self) -> int:
        """Cut every connection; returns how many there were."""

        async def cut() -> int:
            for link in self._links:
                link.cut()
            return len(self._links)

        return self._run(cut())

    def clear(self) -> None:
        """Relay as if there were nothing between."""
        self._seconds_each_way = self._still_until = 0.0
        for link in list(self._links):
            link.still_until = 0.0

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
        # Only a stop cancels; a canceled handler would be reported by asyncio's streams.
        with suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()
        self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self._upstream())
        answers, store = await asyncio.open_connection(address.hostname, address.port)
        link = _Link(writer, store)
        self._links.append(link)
        ways = [
            asyncio.ensure_future(self._carry(link, reader, store)),
            asyncio.ensure_future(self._carry(link, answers, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.remove(link)
            link.cut()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self._seconds_each_way)
            while (left := self._standstill(link)) > 0:  # noqa: ASYNC110 - an end, not an event
                await asyncio.sleep(min(left, _LOOK_SECONDS))
            writer.write(data)
            await writer.drain()

    def _standstill(self, link: _Link) -> float:
        """For how many seconds a connection stands still yet."""
        return max(self._still_until, link.still_until) - time.monotonic()
