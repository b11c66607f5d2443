"""What a listener is told, from where he left off: first what was, then what comes.

Each is told once and in order: what has been told is known by its number (of a job) or its position
(of the feed), and what comes meanwhile waits at the listener. So neither a gap nor a double is
left between the two, and none when he goes on elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Protocol

from service.jobs.queries import Reader
from service.jobs.timeline import History, Message, dumps, gap
from service.live.broadcaster import LOOK_SECONDS, Listener
from service.live.event_stream import START, Feed, order_of
from service.redis.client import Unavailable

#: Proxies close what is silent for a minute, some for half.
HEARTBEAT_SECONDS: Final = 15.0
_PAGE: Final = 200

Batches = AsyncGenerator[Sequence[Message], None]


class Tale(Protocol):
    """Something to tell a listener of, until it is over."""

    def told_to(self, listener: Listener) -> Batches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""


class JobTale:
    """One job, to its end.

    Parameters:
      reader: Reads its history.
      job_id: The job.
      after: The number of the entry he was told last; None for one who begins.
    """

    def __init__(self, reader: Reader, job_id: str, after: int | None) -> None:
        self._reader = reader
        self._job_id = job_id
        self._after = after
        self._ended = False

    async def told_to(self, listener: Listener) -> Batches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""
        while not listener.over:
            yield await self._read(listener) if listener.stale else self._heard(listener)
            if self._ended:
                return
            # An older release's changes are not in the feed: a look finds them.
            if not listener.stale and not await listener.wait(HEARTBEAT_SECONDS):
                listener.stale = True

    async def _read(self, listener: Listener) -> Sequence[Message]:
        listener.stale = False
        try:
            history = await self._reader.history(self._job_id)
        except Unavailable:
            listener.stale = True
            await listener.wait(LOOK_SECONDS)
            return ()
        if history is None:  # forgotten meanwhile
            self._ended = True
            return ()
        missing = self._missing(history)
        messages = [*missing, *history.after(self._after or 0)]
        self._after, self._ended = history.last, history.record.ended
        return messages

    def _missing(self, history: History) -> Sequence[Message]:
        """Say so where what followed is no longer kept, or what he was told never was."""
        after = self._after
        if after is None or history.first - 1 <= after <= history.last:
            return ()
        self._after = 0
        return (gap(str(after), self._job_id),)

    def _heard(self, listener: Listener) -> Sequence[Message]:
        messages = []
        for entry in listener.take():
            following = (self._after or 0) + 1
            if not entry.number:
                messages.append(entry.for_job)
            elif entry.number == following and entry.whole:
                messages.append(entry.for_job)
                self._after = following
                if entry.event == "end":
                    self._ended = True
                    break
            elif entry.number >= following:
                listener.stale = True
                break
        return messages


class FeedTale:
    """All jobs, for as long as somebody listens.

    Parameters:
      feed: The feed.
      after: The position he was told last; None for one who begins.
    """

    def __init__(self, feed: Feed, after: str | None) -> None:
        self._feed = feed
        self._after = after

    async def told_to(self, listener: Listener) -> Batches:
        """Yield what there is to tell, as it comes; an empty batch is a sign of life."""
        while not listener.over:
            yield await self._read(listener) if listener.stale else self._heard(listener)
            if not listener.stale:
                await listener.wait(HEARTBEAT_SECONDS)

    async def _read(self, listener: Listener) -> Sequence[Message]:
        listener.stale = False
        try:
            return await self._page(listener)
        except Unavailable:
            listener.stale = True
            await listener.wait(LOOK_SECONDS)
            return ()

    async def _page(self, listener: Listener) -> Sequence[Message]:
        if self._after is None:
            self._after = await self._feed.position()
            return (Message("ready", self._after, dumps({})),)
        messages = []
        if not await self._feed.is_whole_after(self._after):
            messages.append(gap(self._after))
            self._after = START
        listener.take()  # it is on this page, or on one that follows
        page = await self._feed.after(self._after, _PAGE)
        messages += [entry.for_all for _, entry in page if entry is not None]
        self._after = page[-1][0] if page else self._after
        listener.stale = len(page) == _PAGE
        return messages

    def _heard(self, listener: Listener) -> Sequence[Message]:
        known = order_of(self._after or START)
        messages = [entry.for_all for entry in listener.take() if entry.order > known]
        if messages:
            self._after = messages[-1].id
        return messages
