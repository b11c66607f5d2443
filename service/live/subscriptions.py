"""Resumable subscriptions: stored history from where the client left off, then live updates.

Each update is sent once and in order. What has been sent is known by its number (one job) or its
position (all jobs), and what arrives meanwhile is pending at the subscriber. So there is neither a
gap nor a duplicate between history and live updates, nor when a client resumes at another process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Protocol

from service.jobs.queries import JobQueries
from service.jobs.timeline import JobHistory, LiveUpdate, dumps, gap
from service.live.broadcaster import POLL_SECONDS, Subscriber
from service.live.event_stream import START, JobEventStream, sort_key
from service.redis.client import REDIS_ERRORS

#: Proxies close connections that are silent for a minute, some after half a minute.
HEARTBEAT_SECONDS: Final = 15.0
_PAGE: Final = 200

UpdateBatches = AsyncGenerator[Sequence[LiveUpdate], None]


class Subscription(Protocol):
    """A source of updates for one subscriber."""

    def stream(self, subscriber: Subscriber) -> UpdateBatches:
        """Yield updates as they come, until the end; an empty batch is a keepalive."""


class JobSubscription:
    """Follows one job to its end.

    Parameters:
      queries: Reads its history.
      job_id: The job.
      after: Number of the last entry the client received; None for a new client.
    """

    def __init__(self, queries: JobQueries, job_id: str, after: int | None) -> None:
        self._queries = queries
        self._job_id = job_id
        self._after = after
        self._ended = False

    async def stream(self, subscriber: Subscriber) -> UpdateBatches:
        while not subscriber.closed:
            yield (
                await self._read(subscriber)
                if subscriber.needs_refresh
                else self._take_pushed(subscriber)
            )
            if self._ended:
                return
            # Changes by an older release are not in the stream: reading the history finds them.
            if not subscriber.needs_refresh and not await subscriber.wait(HEARTBEAT_SECONDS):
                subscriber.needs_refresh = True

    async def _read(self, subscriber: Subscriber) -> Sequence[LiveUpdate]:
        subscriber.needs_refresh = False
        try:
            history = await self._queries.history(self._job_id)
        except REDIS_ERRORS:
            subscriber.needs_refresh = True
            await subscriber.wait(POLL_SECONDS)
            return ()
        if history is None:  # pruned meanwhile
            self._ended = True
            return ()
        updates = [*self._gap(history), *history.after(self._after or 0)]
        self._after, self._ended = history.last, history.record.ended
        return updates

    def _gap(self, history: JobHistory) -> Sequence[LiveUpdate]:
        """A gap update when entries after the last one sent are gone, or it never existed."""
        after = self._after
        if after is None or history.first - 1 <= after <= history.last:
            return ()
        self._after = 0
        return (gap(str(after), self._job_id),)

    def _take_pushed(self, subscriber: Subscriber) -> Sequence[LiveUpdate]:
        updates = []
        for entry in subscriber.take():
            following = (self._after or 0) + 1
            if not entry.number:
                updates.append(entry.as_job_update)
            elif entry.number == following and entry.is_complete:
                updates.append(entry.as_job_update)
                self._after = following
                if entry.event == "end":
                    self._ended = True
                    break
            elif entry.number >= following:
                subscriber.needs_refresh = True
                break
        return updates


class FeedSubscription:
    """Follows all jobs for as long as the client stays connected.

    Parameters:
      stream: The job event stream.
      after: Position of the last entry the client received; None for a new client.
    """

    def __init__(self, stream: JobEventStream, after: str | None) -> None:
        self._stream = stream
        self._after = after

    async def stream(self, subscriber: Subscriber) -> UpdateBatches:
        while not subscriber.closed:
            yield (
                await self._read(subscriber)
                if subscriber.needs_refresh
                else self._take_pushed(subscriber)
            )
            if not subscriber.needs_refresh:
                await subscriber.wait(HEARTBEAT_SECONDS)

    async def _read(self, subscriber: Subscriber) -> Sequence[LiveUpdate]:
        subscriber.needs_refresh = False
        try:
            return await self._page(subscriber)
        except REDIS_ERRORS:
            subscriber.needs_refresh = True
            await subscriber.wait(POLL_SECONDS)
            return ()

    async def _page(self, subscriber: Subscriber) -> Sequence[LiveUpdate]:
        if self._after is None:
            self._after = await self._stream.last_position()
            return (LiveUpdate("ready", self._after, dumps({})),)
        updates = []
        if not await self._stream.is_complete_after(self._after):
            updates.append(gap(self._after))
            self._after = START
        subscriber.take()  # these are on this page or on one that follows
        page = await self._stream.read_after(self._after, _PAGE)
        updates += [entry.as_feed_update for _, entry in page if entry is not None]
        self._after = page[-1][0] if page else self._after
        subscriber.needs_refresh = len(page) == _PAGE
        return updates

    def _take_pushed(self, subscriber: Subscriber) -> Sequence[LiveUpdate]:
        known = sort_key(self._after or START)
        updates = [entry.as_feed_update for entry in subscriber.take() if entry.order > known]
        if updates:
            self._after = updates[-1].id
        return updates
