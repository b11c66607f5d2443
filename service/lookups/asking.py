"""Asking for a profile or a post: from a copy, or by one look-up however many ask.

No request waits on Instagram: it waits, for as long as it wants to, for the ledger to say that a
worker has looked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service.config_models import Lookups
from service.jobs.live import LOOK_SECONDS, Live
from service.jobs.model import FINAL, Status
from service.jobs.reading import Reader
from service.lookups.copies import Copies
from service.lookups.sights import Copy, Shut, Sight, Sights
from service.lookups.targets import Target

#: Routers in front of us give up at 30 s.
MAX_WAIT_SECONDS: Final = 25.0


@dataclass(frozen=True)
class Seen:
    """There is an answer.

    Parameters:
      copy: It.
      fresh_seconds: For how long it still is fresh; not above 0 for a stale one.
      failing: Why there is no newer one, where looking for it failed.
    """

    copy: Copy
    fresh_seconds: float
    failing: str | None = None


@dataclass(frozen=True)
class Unseen:
    """There is none, for a reason of the target's or of Instagram's.

    Parameters:
      problem: `code` and `message`.
    """

    problem: Mapping[str, Any]


@dataclass(frozen=True)
class Pending:
    """A job looks.

    Parameters:
      job_id: Which.
    """

    job_id: str


Answer = Seen | Unseen | Shut | Pending


@dataclass
class _Flight:
    """One look-up of this process: all who ask meanwhile wait for its task."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    job_id: str = ""
    task: asyncio.Task[Answer] = field(init=False)


class Asking:
    """Answers who asks.

    Parameters:
      sights: The ledger's side.
      reader: Tells what has become of a job.
      live: Wakes when it changes.
      fresh: How old answers may be.
    """

    def __init__(self, sights: Sights, reader: Reader, live: Live, fresh: Lookups) -> None:
        self._sights = sights
        self._reader = reader
        self._live = live
        self._fresh_ms = {"user": fresh.user_seconds * 1000, "post": fresh.post_seconds * 1000}
        self._copies = Copies()
        self._flights: dict[Target, _Flight] = {}

    def at_hand(self, target: Target) -> Seen | None:
        """The answer, if this process has a fresh copy of it."""
        fresh_ms = self._fresh_ms[target.sort]
        copy = self._copies.fresh(target, fresh_ms)
        return None if copy is None else Seen(copy, (fresh_ms - copy.age_ms) / 1000)

    async def ask(self, target: Target, seconds: float, caller: str) -> Answer:
        """Find an answer.

        Parameters:
          target: What is asked for.
          seconds: How long to wait for a look-up.
          caller: Name of the API key.

        Returns:
          What there is by then.
        """
        found = self.at_hand(target)
        if found is not None:
            return found
        flight = self._flights.get(target) or self._begin(target, caller)
        await flight.begun.wait()
        # Without a job it has its answer.
        patience = min(seconds, MAX_WAIT_SECONDS) if flight.job_id else None
        await asyncio.wait({flight.task}, timeout=patience)
        return flight.task.result() if flight.task.done() else Pending(flight.job_id)

    async def close(self) -> None:
        """Wait for nobody any more."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, target: Target, caller: str) -> _Flight:
        flight = self._flights[target] = _Flight()

        async def fly() -> Answer:
            try:
                return await self._look(target, caller, flight)
            finally:
                del self._flights[target]
                flight.begun.set()

        flight.task = asyncio.create_task(fly())
        return flight

    async def _look(self, target: Target, caller: str, flight: _Flight) -> Answer:
        patience_ms = round(MAX_WAIT_SECONDS * 1000)
        fresh_ms = self._fresh_ms[target.sort]
        sight = await self._sights.look(target, fresh_ms, patience_ms, caller)
        answer = self._answer(target, sight)
        if answer is not None:
            return answer
        assert sight.job_id is not None  # noqa: S101 - what look.lua replies else
        flight.job_id = sight.job_id
        flight.begun.set()
        return await self._landed(target, sight.job_id)

    def _answer(self, target: Target, sight: Sight) -> Answer | None:
        """What can be said at once; None when it must be waited for."""
        if sight.copy is not None:
            self._copies.keep(target, sight.copy)
            left = (self._fresh_ms[target.sort] - sight.copy.age_ms) / 1000
            failing = sight.problem["code"] if sight.problem else None
            if sight.shut is not None:
                failing = sight.shut.reason
            return Seen(sight.copy, left, failing)
        if sight.problem is not None and sight.job_id is None:
            return Unseen(sight.problem)
        return sight.shut

    async def _landed(self, target: Target, job_id: str) -> Answer:
        """Wait for the job; it is followed a little longer than anybody waits."""
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        with self._live.listen(job_id) as listener:
            while True:
                listener.take()
                job = await self._reader.job(job_id)
                if job is None or job["status"] in FINAL:
                    return await self._outcome(target, job)
                shut = _shut_out(job)
                if shut is not None:
                    return shut
                left = deadline - time.monotonic()
                if left <= 0 or listener.over:
                    return Pending(job_id)
                await listener.wait(min(left, LOOK_SECONDS))

    async def _outcome(self, target: Target, job: Mapping[str, Any] | None) -> Answer:
        answer = self._answer(target, await self._sights.known(target))
        if answer is not None:
            return answer
        ended = "gone" if job is None else job["status"]
        message = f"The look-up ended without an answer ({ended}): ask again."
        return Unseen({"code": "lookup_ended", "message": message})


def _shut_out(job: Mapping[str, Any]) -> Shut | None:
    """Why a job's account looks for nobody who asks now."""
    wait = job["wait"]
    if job["status"] == Status.HELD:
        return Shut(wait["reason"], None)
    if wait is None or wait["until"] is None:
        return None
    until_ms = round(datetime.fromisoformat(wait["until"]).timestamp() * 1000)
    seconds = until_ms / 1000 - time.time()
    return Shut(wait["reason"], seconds, until_ms=until_ms) if seconds > MAX_WAIT_SECONDS else None
