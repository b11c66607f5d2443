"""Who listens: one reader of the feed a process, made at need, tells all of them.

Nothing waits here for a listener: what he has not taken is bounded, and who takes too little is
dropped. Nor does anything rely on the feed alone: a listener who may have missed something is told
that what he knows is stale, and reads it again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from service.live.event_stream import JobEventStream, StreamEntry
from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS, async_client

#: How often whoever waits looks by itself: an older release's changes are not in the feed.
POLL_SECONDS: Final = 2.0
#: How many entries may wait for one listener.
MAX_PENDING: Final = 1024
#: How many are read at once: the loop has others to serve in between.
READ_BATCH: Final = 64
#: How many listeners are told at once, for the same reason.
PUSH_BATCH: Final = 50
BLOCK_MS: Final = 2000
#: How long listeners may take to hear that the process ends.
GRACE_SECONDS: Final = 1.0

_log = get_logger(__name__)


def _nothing() -> None:
    pass


class Subscriber:
    """What one listener is still to be told.

    Parameters:
      stopping: Set when the process is to end.
      drop: Cuts his connection.
    """

    def __init__(self, stopping: asyncio.Event, drop: Callable[[], None]) -> None:
        self._stopping = stopping
        self._abort = drop
        self._waiting: deque[StreamEntry] = deque()
        self._woken = asyncio.Event()
        #: Whether what he knows may lack something, so that it is to be read again.
        self.needs_refresh = True
        #: Whether there is nobody to tell any more.
        self.disconnected = False

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be told."""
        return self.disconnected or self._stopping.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait until there is something to do; whether there is.

        Parameters:
          seconds: How long at most.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def take(self) -> list[StreamEntry]:
        """What has come since the last time."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def push(self, entries: Sequence[StreamEntry]) -> None:
        """Leave entries for him; one for whom too many wait is dropped.

        Parameters:
          entries: What there is to tell.
        """
        if self.disconnected:
            return
        if len(self._waiting) + len(entries) > MAX_PENDING:
            _log.info("a listener was dropped", cause="it does not keep up")
            self.disconnect()
            return
        self._waiting += entries
        self._woken.set()

    def refresh(self) -> None:
        """Have him read again."""
        self.needs_refresh = True
        self._woken.set()

    def wake(self) -> None:
        """Have him look whether it is over."""
        self._woken.set()

    def unsubscribe(self) -> None:
        """There is nobody to tell any more."""
        self.disconnected = True
        self._waiting.clear()
        self._woken.set()

    def disconnect(self) -> None:
        """Cut his connection."""
        self.unsubscribe()
        self._abort()


class Broadcaster:
    """Tells listeners of one job, or of all, what the feed says.

    Parameters:
      url: The store.
      stopping: Set when the process is to end.
    """

    def __init__(self, url: str, stopping: asyncio.Event) -> None:
        self._url = url
        self._stopping = stopping
        self._subscribers: defaultdict[str | None, set[Subscriber]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        #: How many listen.
        self.count = 0

    @contextmanager
    def subscribe(
        self, job_id: str | None, drop: Callable[[], None] = _nothing
    ) -> Iterator[Subscriber]:
        """Yield a listener; he begins stale.

        Parameters:
          job_id: The job to listen to; None for all.
          drop: Cuts his connection.
        """
        self._start()
        listener = Subscriber(self._stopping, drop)
        self._subscribers[job_id].add(listener)
        self.count += 1
        try:
            yield listener
        finally:
            self.count -= 1
            self._subscribers[job_id].discard(listener)
            if not self._subscribers[job_id]:
                del self._subscribers[job_id]

    async def close(self) -> None:
        """End the reader."""
        tasks = [task for task in (self._reader, self._end) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        if self._end is None:
            self._end = asyncio.create_task(self._close_on_shutdown())

    async def _read(self) -> None:
        # Nothing is awaited between the last look and the task's end, so `listen` never takes a
        # reader that is about to leave for one that stays.
        while self._subscribers:
            client = async_client(self._url, max_connections=1)
            try:
                await self._follow(JobEventStream(client))
            except REDIS_ERRORS as error:
                _log.warning("live feed interrupted", cause=type(error).__name__)
                await asyncio.sleep(1)
            finally:
                await client.aclose()

    async def _follow(self, feed: JobEventStream) -> None:
        position = await feed.last_position()
        # What they have read may be older than this position, and all after it will be told.
        for listener in self._all_subscribers():
            listener.refresh()
        while self._subscribers:
            found = await feed.wait_after(position, READ_BATCH, BLOCK_MS)
            position = found[-1][0] if found else position
            await self._push([entry for _, entry in found if entry is not None])

    async def _push(self, entries: Sequence[StreamEntry]) -> None:
        told: defaultdict[str | None, list[StreamEntry]] = defaultdict(list)
        for entry in entries:
            told[entry.job_id].append(entry)
            told[None].append(entry)
        whose = [(each, told[key]) for key in told for each in self._subscribers.get(key, ())]
        for number, (listener, news) in enumerate(whose, 1):
            listener.push(news)
            if number % PUSH_BATCH == 0:
                await asyncio.sleep(0)

    def _all_subscribers(self) -> list[Subscriber]:
        return [listener for some in self._subscribers.values() for listener in some]

    async def _close_on_shutdown(self) -> None:
        await self._stopping.wait()
        for listener in self._all_subscribers():
            listener.wake()
        await asyncio.sleep(GRACE_SECONDS)
        for listener in self._all_subscribers():
            listener.disconnect()
