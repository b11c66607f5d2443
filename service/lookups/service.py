"""Looks up profiles and posts: from a cache, or by one lookup job however many callers ask.

No request waits on Instagram: it waits, for as long as the caller wants, until the ledger says
that a worker has finished the lookup.
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

#: Routers in front of the web process give up at 30 s.
MAX_WAIT_SECONDS: Final = 25.0

#: A lookup that was canceled, or expired before its turn.
ENDED: Final[Mapping[str, Any]] = {"code": "lookup_ended", "message": ""}


@dataclass(frozen=True)
class Found:
    """There is a value.

    Parameters:
      value: The value.
      fresh_seconds: How long it stays fresh; 0 or less for a stale one.
      problem: Code of why there is no newer one, if the lookup for it failed.
    """

    value: CachedValue
    fresh_seconds: float
    problem: str | None = None


@dataclass(frozen=True)
class NotFound:
    """There is none, because of the target or of Instagram.

    Parameters:
      problem: `code` and `message`.
      retry_seconds: How long the target is not looked up again.
    """

    problem: Mapping[str, Any]
    retry_seconds: float = 0.0


@dataclass(frozen=True)
class Pending:
    """A lookup job is under way.

    Parameters:
      job_id: The job.
      retry_seconds: When it may have finished, an estimate; 0 for soon.
    """

    job_id: str
    retry_seconds: float = 0.0


LookupAnswer = Found | NotFound | Unavailable | Pending


@dataclass
class _InFlight:
    """One lookup of this process; all callers that ask meanwhile wait for its task.

    Parameters:
      caller: Name of the API key that asked first.
    """

    caller: str
    started: asyncio.Event = field(default_factory=asyncio.Event)
    pending: Pending | None = None
    #: Monotonic time until which a caller waits.
    wait_until: float = 0.0
    task: asyncio.Task[LookupAnswer] = field(init=False)


class LookupService:
    """Answers lookups.

    Parameters:
      shared: The cache in Redis, and the jobs that fill it.
      broadcaster: Wakes waiters when a job changes.
      fresh: How old answers may be.
    """

    def __init__(self, shared: LookupCache, broadcaster: Broadcaster, fresh: Lookups) -> None:
        self._shared = shared
        self._broadcaster = broadcaster
        self._fresh_ms = {"user": fresh.user_seconds * 1000, "post": fresh.post_seconds * 1000}
        self._local = LocalCache()
        self._in_flight: dict[LookupTarget, _InFlight] = {}

    def cached(self, target: LookupTarget) -> Found | None:
        """The answer, if this process has a fresh one."""
        fresh_ms = self._fresh_ms[target.kind]
        value = self._local.get(target, fresh_ms)
        return None if value is None else Found(value, (fresh_ms - value.age_ms) / 1000)

    async def get(self, target: LookupTarget, seconds: float, caller: str) -> LookupAnswer:
        """Look a target up.

        Parameters:
          target: The profile or post.
          seconds: How long to wait for a lookup job.
          caller: Name of the API key.

        Returns:
          What is known when the time is over.

        Raises:
          redis.exceptions.RedisError: Redis does not answer.
        """
        cached = self.cached(target)
        if cached is not None:
            return cached
        seconds = min(seconds, MAX_WAIT_SECONDS)
        lookup = self._in_flight.get(target) or self._start(target, caller)
        lookup.wait_until = max(lookup.wait_until, time.monotonic() + seconds)
        await lookup.started.wait()
        # Without a job it has its answer, or is about to.
        await asyncio.wait({lookup.task}, timeout=seconds if lookup.pending else None)
        if lookup.pending is not None and not lookup.task.done():
            return lookup.pending
        return lookup.task.result()

    async def close(self) -> None:
        """Cancel what is in flight."""
        lookups = list(self._in_flight.values())
        for lookup in lookups:
            lookup.task.cancel()
        await asyncio.gather(*(lookup.task for lookup in lookups), return_exceptions=True)
        for lookup in lookups:
            lookup.started.set()
        await self._shared.close()

    def _start(self, target: LookupTarget, caller: str) -> _InFlight:
        lookup = self._in_flight[target] = _InFlight(caller)

        async def run() -> LookupAnswer:
            try:
                return await self._run(target, lookup)
            finally:
                del self._in_flight[target]
                lookup.started.set()

        lookup.task = asyncio.create_task(run())
        # Every caller may have disconnected: retrieve the exception so that asyncio logs nothing.
        lookup.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return lookup

    async def _run(self, target: LookupTarget, lookup: _InFlight) -> LookupAnswer:
        state = await self._get_or_start(target, lookup.caller)
        while (answer := self._answer(target, state)) is None:
            if state.job_id is None:
                return NotFound(ENDED)
            lookup.pending = Pending(state.job_id, state.retry_seconds)
            lookup.started.set()
            with self._broadcaster.subscribe(state.job_id) as subscriber:
                # A change made before the subscription is seen by this read.
                state = await self._current_state(target, lookup.caller)
                if state.job_id != lookup.pending.job_id or self._answer(target, state):
                    continue
                left = lookup.wait_until - time.monotonic()
                if left <= 0 or subscriber.closed:
                    return Pending(state.job_id, state.retry_seconds)
                await subscriber.wait(min(left, POLL_SECONDS))
        return answer

    async def _get_or_start(self, target: LookupTarget, caller: str) -> LookupState:
        return await self._shared.get_or_start(target, self._fresh_ms[target.kind], caller)

    async def _current_state(self, target: LookupTarget, caller: str) -> LookupState:
        state = await self._shared.get(target)
        if state.unavailable is None:
            return state
        # The account of the job became unavailable; another one may be available.
        return await self._get_or_start(target, caller)

    def _answer(self, target: LookupTarget, state: LookupState) -> LookupAnswer | None:
        """What can be answered now; None when it must be waited for, or nothing is known."""
        if state.value is not None:
            return self._found(target, state.value, state)
        if state.unavailable is not None:
            return state.unavailable
        if state.problem is not None and state.job_id is None:
            return NotFound(state.problem, state.retry_seconds)
        return None

    def _found(self, target: LookupTarget, value: CachedValue, state: LookupState) -> Found:
        left = (self._fresh_ms[target.kind] - value.age_ms) / 1000
        if left > 0:
            self._local.put(target, value)
        problem = state.problem["code"] if state.problem else None
        return Found(value, left, state.unavailable.reason if state.unavailable else problem)
