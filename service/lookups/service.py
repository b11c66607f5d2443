"""Asking for a profile or a post: from a copy, or by one look-up however many ask.

No request waits on Instagram: it waits, for as long as it wants to, for the ledger to say that a
worker has looked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.config.models import Lookups
from service.live.broadcaster import POLL_SECONDS, Broadcaster
from service.lookups.local_cache import LocalCache
from service.lookups.shared_cache import CachedValue, LookupCache, LookupState, Unavailable
from service.lookups.targets import LookupTarget

#: Routers in front of us give up at 30 s.
MAX_WAIT_SECONDS: Final = 25.0

#: A look-up that was canceled, or expired before its turn came.
ENDED: Final[Mapping[str, Any]] = {"code": "lookup_ended", "message": ""}


@dataclass(frozen=True)
class Found:
    """There is an answer.

    Parameters:
      copy: It.
      fresh_seconds: For how long it still is fresh; not above 0 for a stale one.
      failing: Why there is no newer one, where looking for it failed.
    """

    value: CachedValue
    fresh_seconds: float
    problem: str | None = None


@dataclass(frozen=True)
class NotFound:
    """There is none, for a reason of the target's or of Instagram's.

    Parameters:
      problem: `code` and `message`.
      again_seconds: For how long it is not looked for again.
    """

    problem: Mapping[str, Any]
    retry_seconds: float = 0.0


@dataclass(frozen=True)
class Pending:
    """A job looks.

    Parameters:
      job_id: Which.
      again_seconds: When it may have looked, as far as can be told; 0 for soon.
    """

    job_id: str
    retry_seconds: float = 0.0


LookupAnswer = Found | NotFound | Unavailable | Pending


@dataclass
class _InFlight:
    """One look-up of this process: all who ask meanwhile wait for its task.

    Parameters:
      caller: Name of the API key that asked first.
    """

    caller: str
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    pending: Pending | None = None
    #: Monotonic time until which somebody waits.
    until: float = 0.0
    task: asyncio.Task[LookupAnswer] = field(init=False)


class LookupService:
    """Answers who asks.

    Parameters:
      sights: The ledger's side.
      live: Wakes when a job changes.
      fresh: How old answers may be.
    """

    def __init__(self, sights: LookupCache, live: Broadcaster, fresh: Lookups) -> None:
        self._shared = sights
        self._live = live
        self._fresh_ms = {"user": fresh.user_seconds * 1000, "post": fresh.post_seconds * 1000}
        self._local = LocalCache()
        self._in_flight: dict[LookupTarget, _InFlight] = {}

    def cached(self, target: LookupTarget) -> Found | None:
        """The answer, if this process has a fresh copy of it.

        Parameters:
          target: What is asked for.
        """
        fresh_ms = self._fresh_ms[target.kind]
        copy = self._local.fresh(target, fresh_ms)
        return None if copy is None else Found(copy, (fresh_ms - copy.age_ms) / 1000)

    async def get(self, target: LookupTarget, seconds: float, caller: str) -> LookupAnswer:
        """Find an answer.

        Parameters:
          target: What is asked for.
          seconds: How long to wait for a look-up.
          caller: Name of the API key.

        Returns:
          What there is by then.

        Raises:
          redis.exceptions.RedisError: The store does not answer.
        """
        found = self.cached(target)
        if found is not None:
            return found
        seconds = min(seconds, MAX_WAIT_SECONDS)
        flight = self._in_flight.get(target) or self._begin(target, caller)
        flight.until = max(flight.until, time.monotonic() + seconds)
        await flight.begun.wait()
        # Without a job it has its answer, or is about to.
        await asyncio.wait({flight.task}, timeout=seconds if flight.pending else None)
        if flight.pending is not None and not flight.task.done():
            return flight.pending
        return flight.task.result()

    async def close(self) -> None:
        """Wait for nobody any more."""
        flights = list(self._in_flight.values())
        for flight in flights:
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)
        for flight in flights:
            flight.begun.set()
        await self._shared.close()

    def _begin(self, target: LookupTarget, caller: str) -> _InFlight:
        flight = self._in_flight[target] = _InFlight(caller)

        async def fly() -> LookupAnswer:
            try:
                return await self._run(target, flight)
            finally:
                del self._in_flight[target]
                flight.begun.set()

        flight.task = asyncio.create_task(fly())
        # Whoever asked may have gone: then nobody else would take its error.
        flight.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return flight

    async def _run(self, target: LookupTarget, flight: _InFlight) -> LookupAnswer:
        sight = await self._shared.get_or_start(target, self._fresh_ms[target.kind], flight.caller)
        while (answer := self._answer(target, sight)) is None:
            if sight.job_id is None:
                return NotFound(ENDED)
            flight.pending = Pending(sight.job_id, sight.retry_seconds)
            flight.begun.set()
            with self._live.subscribe(sight.job_id) as listener:
                # What has changed before somebody listened is seen here.
                sight = await self._current_state(target, flight.caller)
                if sight.job_id != flight.pending.job_id or self._answer(target, sight):
                    continue
                left = flight.until - time.monotonic()
                if left <= 0 or listener.closed:
                    return Pending(sight.job_id, sight.retry_seconds)
                await listener.wait(min(left, POLL_SECONDS))
        return answer

    async def _current_state(self, target: LookupTarget, caller: str) -> LookupState:
        sight = await self._shared.get(target)
        if sight.unavailable is None:
            return sight
        # Its account was shut meanwhile; another one may be open.
        return await self._shared.get_or_start(target, self._fresh_ms[target.kind], caller)

    def _answer(self, target: LookupTarget, sight: LookupState) -> LookupAnswer | None:
        """What can be said at once; None when it must be waited for, or nothing is known."""
        if sight.value is not None:
            return self._found(target, sight.value, sight)
        if sight.unavailable is not None:
            return sight.unavailable
        if sight.problem is not None and sight.job_id is None:
            return NotFound(sight.problem, sight.retry_seconds)
        return None

    def _found(self, target: LookupTarget, copy: CachedValue, sight: LookupState) -> Found:
        left = (self._fresh_ms[target.kind] - copy.age_ms) / 1000
        if left > 0:
            self._local.keep(target, copy)
        failing = sight.problem["code"] if sight.problem else None
        return Found(copy, left, sight.unavailable.reason if sight.unavailable else failing)
