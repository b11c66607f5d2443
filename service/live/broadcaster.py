"""Fans the job event stream out to subscribers: one reader per process, started on demand.

Nothing here waits for a subscriber: its pending entries are bounded, and one that falls behind is
disconnected. Nor does anything rely on the stream alone: a subscriber that may have missed entries
is marked `needs_refresh` and reads the stored history again.
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

#: How often waiters poll on their own: changes by an older release are not in the stream.
POLL_SECONDS: Final = 2.0
#: The most entries pending for one subscriber.
MAX_PENDING: Final = 1024
#: Entries read at once; the loop serves others in between.
READ_BATCH: Final = 64
#: Subscribers served at once, for the same reason.
PUSH_BATCH: Final = 50
BLOCK_MS: Final = 2000
#: How long subscribers may take to close when the process stops.
GRACE_SECONDS: Final = 1.0

_log = get_logger(__name__)


def _nothing() -> None:
    pass


class Subscriber:
    """One subscriber's pending entries.

    Parameters:
      stopping: Set when the process is stopping.
      abort: Cuts the connection.
    """

    def __init__(self, stopping: asyncio.Event, abort: Callable[[], None]) -> None:
        self._stopping = stopping
        self._abort = abort
        self._waiting: deque[StreamEntry] = deque()
        self._woken = asyncio.Event()
        #: Whether entries may have been missed, so that the history must be read again.
        self.needs_refresh = True
        #: Whether the connection is gone.
        self.disconnected = False

    @property
    def closed(self) -> bool:
        """Whether nothing more will be sent."""
        return self.disconnected or self._stopping.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait until there is something to do.

        Parameters:
          seconds: The longest wait.

        Returns:
          False when the time ran out.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def take(self) -> list[StreamEntry]:
        """Remove and return the pending entries."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def push(self, entries: Sequence[StreamEntry]) -> None:
        """Add entries; a subscriber with too many pending ones is disconnected."""
        if self.disconnected:
            return
        if len(self._waiting) + len(entries) > MAX_PENDING:
            _log.info("live subscriber disconnected", reason="too slow")
            self.disconnect()
            return
        self._waiting += entries
        self._woken.set()

    def refresh(self) -> None:
        """Make the subscriber read the history again."""
        self.needs_refresh = True
        self._woken.set()

    def wake(self) -> None:
        """Make the subscriber check whether it is closed."""
        self._woken.set()

    def unsubscribe(self) -> None:
        """Discard what is pending: the connection is gone."""
        self.disconnected = True
        self._waiting.clear()
        self._woken.set()

    def disconnect(self) -> None:
        """Cut the connection."""
        self.unsubscribe()
        self._abort()


class Broadcaster:
    """Sends stream entries to the subscribers of one job, or of all jobs.

    Parameters:
      url: Redis URL.
      stopping: Set when the process is stopping.
    """

    def __init__(self, url: str, stopping: asyncio.Event) -> None:
        self._url = url
        self._stopping = stopping
        self._subscribers: defaultdict[str | None, set[Subscriber]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        #: Number of subscribers.
        self.count = 0

    @contextmanager
    def subscribe(
        self, job_id: str | None, abort: Callable[[], None] = _nothing
    ) -> Iterator[Subscriber]:
        """Yield a subscriber, which starts out needing a refresh.

        Parameters:
          job_id: The job to follow; None for all.
          abort: Cuts the connection.
        """
        self._start()
        subscriber = Subscriber(self._stopping, abort)
        self._subscribers[job_id].add(subscriber)
        self.count += 1
        try:
            yield subscriber
        finally:
            self.count -= 1
            self._subscribers[job_id].discard(subscriber)
            if not self._subscribers[job_id]:
                del self._subscribers[job_id]

    async def close(self) -> None:
        """Stop the reader."""
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
        # Nothing is awaited between the last check and the task's end, so `subscribe` never
        # mistakes a reader that is about to stop for a running one.
        while self._subscribers:
            client = async_client(self._url, max_connections=1)
            try:
                await self._follow(JobEventStream(client))
            except REDIS_ERRORS as error:
                _log.warning("live event stream interrupted", error=type(error).__name__)
                await asyncio.sleep(1)
            finally:
                await client.aclose()

    async def _follow(self, stream: JobEventStream) -> None:
        position = await stream.last_position()
        # What subscribers have read may be older than this position; all after it will be pushed.
        for subscriber in self._all_subscribers():
            subscriber.refresh()
        while self._subscribers:
            found = await stream.wait_after(position, READ_BATCH, BLOCK_MS)
            position = found[-1][0] if found else position
            await self._push([entry for _, entry in found if entry is not None])

    async def _push(self, entries: Sequence[StreamEntry]) -> None:
        by_job: defaultdict[str | None, list[StreamEntry]] = defaultdict(list)
        for entry in entries:
            by_job[entry.job_id].append(entry)
            by_job[None].append(entry)
        pushes = [
            (subscriber, new)
            for job_id, new in by_job.items()
            for subscriber in self._subscribers.get(job_id, ())
        ]
        for number, (subscriber, new) in enumerate(pushes, 1):
            subscriber.push(new)
            if number % PUSH_BATCH == 0:
                await asyncio.sleep(0)

    def _all_subscribers(self) -> list[Subscriber]:
        return [subscriber for some in self._subscribers.values() for subscriber in some]

    async def _close_on_shutdown(self) -> None:
        await self._stopping.wait()
        for subscriber in self._all_subscribers():
            subscriber.wake()
        await asyncio.sleep(GRACE_SECONDS)
        for subscriber in self._all_subscribers():
            subscriber.disconnect()
