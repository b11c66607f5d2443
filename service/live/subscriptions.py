"""What a listener is told, from where he left off: first what was, then what comes.

Each is told once and in order: what has been told is known by its number (of a job) or its position
(of the feed), and what comes meanwhile waits at the listener. So neither a gap nor a double is
left between the two, and none when he goes on elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Protocol

from service.jobs.queries import JobQueries
from service.jobs.timeline import JobHistory, LiveUpdate, dumps, gap
from service.live.broadcaster import POLL_SECONDS, Subscriber
from service.live.event_stream import START, JobEventStream, sort_key
from service.redis.client import REDIS_ERRORS

#: Proxies close what is silent for a minute, some for half.
HEARTBEAT_SECONDS: Final = 15.0
_PAGE: Final = 200

UpdateBatches = AsyncGenerator[Sequence[LiveUpdate], None]


class Subscription(Protocol):
    """Something to tell a listener of, until it is over."""

    def stream(self, listener: Subscriber) -> UpdateBatches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""


class JobSubscription:
    """One job, to its end.

    Parameters:
      reader: Reads its history.
      job_id: The job.
      after: The number of the entry he was told last; None for one who begins.
    """

    def __init__(self, reader: JobQueries, job_id: str, after: int | None) -> None:
        self._reader = reader
        self._job_id = job_id
        self._after = after
        self._ended = False

    async def stream(self, listener: Subscriber) -> UpdateBatches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""
        while not listener.closed:
            yield (
                await self._read(listener)
                if listener.needs_refresh
                else self._take_pushed(listener)
            )
            if self._ended:
                return
            # An older release's changes are not in the feed: a look finds them.
            if not listener.needs_refresh and not await listener.wait(HEARTBEAT_SECONDS):
                listener.needs_refresh = True

    async def _read(self, listener: Subscriber) -> Sequence[LiveUpdate]:
        listener.needs_refresh = False
        try:
            history = await self._reader.history(self._job_id)
        except REDIS_ERRORS:
            listener.needs_refresh = True
            await listener.wait(POLL_SECONDS)
            return ()
        if history is None:  # forgotten meanwhile
            self._ended = True
            return ()
        missing = self._gap(history)
        messages = [*missing, *history.after(self._after or 0)]
        self._after, self._ended = history.last, history.record.ended
        return messages

    def _gap(self, history: JobHistory) -> Sequence[LiveUpdate]:
        """Say so where what followed is no longer kept, or what he was told never was."""
        after = self._after
        if after is None or history.first - 1 <= after <= history.last:
            return ()
        self._after = 0
        return (gap(str(after), self._job_id),)

    def _take_pushed(self, listener: Subscriber) -> Sequence[LiveUpdate]:
        messages = []
        for entry in listener.take():
            following = (self._after or 0) + 1
            if not entry.number:
                messages.append(entry.as_job_update)
            elif entry.number == following and entry.is_complete:
                messages.append(entry.as_job_update)
                self._after = following
                if entry.event == "end":
                    self._ended = True
                    break
            elif entry.number >= following:
                listener.needs_refresh = True
                break
        return messages


class FeedSubscription:
    """All jobs, for as long as somebody listens.

    Parameters:
      feed: The feed.
      after: The position he was told last; None for one who begins.
    """

    def __init__(self, feed: JobEventStream, after: str | None) -> None:
        self._feed = feed
        self._after = after

    async def stream(self, listener: Subscriber) -> UpdateBatches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""
        while not listener.closed:
            yield (
                await self._read(listener)
                if listener.needs_refresh
                else self._take_pushed(listener)
            )
            if not listener.needs_refresh:
                await listener.wait(HEARTBEAT_SECONDS)

    async def _read(self, listener: Subscriber) -> Sequence[LiveUpdate]:
        listener.needs_refresh = False
        try:
            return await self._page(listener)
        except REDIS_ERRORS:
            listener.needs_refresh = True
            await listener.wait(POLL_SECONDS)
            return ()

    async def _page(self, listener: Subscriber) -> Sequence[LiveUpdate]:
        if self._after is None:
            self._after = await self._feed.last_position()
            return (LiveUpdate("ready", self._after, dumps({})),)
        messages = []
        if not await self._feed.is_complete_after(self._after):
            messages.append(gap(self._after))
            self._after = START
        listener.take()  # it is on this page, or on one that follows
        page = await self._feed.read_after(self._after, _PAGE)
        messages += [entry.as_feed_update for _, entry in page if entry is not None]
        self._after = page[-1][0] if page else self._after
        listener.needs_refresh = len(page) == _PAGE
        return messages

    def _take_pushed(self, listener: Subscriber) -> Sequence[LiveUpdate]:
        known = sort_key(self._after or START)
        messages = [entry.as_feed_update for entry in listener.take() if entry.order > known]
        if messages:
            self._after = messages[-1].id
        return messages
