"""How many callbacks an origin may have under way, so that others have places left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


class OriginBusy(Exception):
    """So much is under way with the origin that waiting for a place would take too long."""


class OriginLimiter:
    """Lets a few exchanges at a time through to each origin, and few others wait for it.

    Whoever waits holds a place of the worker's that other origins need. So as many may wait as
    have their turn in time at the pace of the last exchange (Little's law), and nobody once
    somebody waited in vain, until an exchange ends: a dead origin keeps only its own places busy.
    Where so many origins are slow that the worker is full, the places left are for origins that
    have none.

    Parameters:
      width: How many at a time.
      waiting: How many more may wait while the pace is unknown.
      wait_seconds: The longest that any may wait.
      most: How many may have a place or wait for one, but for the first of each origin.
    """

    def __init__(
        self, max_concurrent: int, initial_waiting: int, wait_seconds: float, max_users: int
    ) -> None:
        self._max_concurrent = max_concurrent
        self._initial_waiting = initial_waiting
        self._wait_seconds = wait_seconds
        self._max_users = max_users
        self._users = 0
        self._origins: dict[str, _Origin] = {}

    def __len__(self) -> int:
        return len(self._origins)

    @asynccontextmanager
    async def slot(self, origin: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it.

        Parameters:
          origin: Whose lane.

        Raises:
          OriginBusy: If too many wait already, or no place came free in time.
        """
        lane = self._origins.get(origin) or _Origin(
            asyncio.Semaphore(self._max_concurrent), self._initial_waiting
        )
        if lane.users >= self._max_concurrent + lane.max_waiting or (
            lane.users and self._users >= self._max_users
        ):
            raise OriginBusy
        self._origins[origin] = lane
        lane.users += 1
        self._users += 1
        try:
            await self._acquire(lane)
            try:
                started = time.monotonic()
                yield
                lane.max_waiting = self._max_waiting_at(time.monotonic() - started)
            finally:
                lane.slots.release()
        finally:
            self._users -= 1
            lane.users -= 1
            if not lane.users:
                del self._origins[origin]

    async def _acquire(self, lane: _Origin) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lane.slots.acquire()
        except TimeoutError:
            lane.max_waiting = 0
            raise OriginBusy from None

    def _max_waiting_at(self, pace_seconds: float) -> int:
        return int(self._max_concurrent * self._wait_seconds / max(pace_seconds, 0.001))


@dataclass
class _Origin:
    """One origin's places, how many may wait for them, and how many have or want one."""

    slots: asyncio.Semaphore
    max_waiting: int
    users: int = 0
