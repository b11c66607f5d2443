"""Limits the callbacks in flight per origin, so that a slow origin does not starve the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


class OriginBusy(Exception):
    """Too much is in flight with the origin: waiting for a slot would take too long."""


class OriginLimiter:
    """Allows each origin a few exchanges at a time, and a few more that wait for a slot.

    A waiting exchange occupies a slot of the worker that other origins need. So only as many may
    wait as would get a slot in time at the pace of the last exchange (Little's law), and none
    after one has waited in vain, until an exchange ends: a dead origin occupies only its own
    slots. When so many origins are slow that the worker is full, the slots left are for origins
    that have none.

    Parameters:
      max_concurrent: Exchanges at a time per origin.
      initial_waiting: How many more may wait while the origin's pace is unknown.
      wait_seconds: The longest that any may wait.
      max_users: How many may hold or await a slot over all origins; beyond that each origin may
        still have one.
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
    async def slot(self, name: str) -> AsyncIterator[None]:
        """Wait for a slot of an origin, and hold it for the block.

        Parameters:
          name: The origin (scheme, host and port).

        Raises:
          OriginBusy: Too many are waiting already, or no slot came free in time.
        """
        origin = self._admit(name)
        origin.users += 1
        self._users += 1
        try:
            await self._acquire(origin)
            try:
                started = time.monotonic()
                yield
                origin.max_waiting = self._max_waiting_at(time.monotonic() - started)
            finally:
                origin.slots.release()
        finally:
            self._users -= 1
            origin.users -= 1
            if not origin.users:
                del self._origins[name]

    def _admit(self, name: str) -> _Origin:
        origin = self._origins.get(name) or _Origin(
            asyncio.Semaphore(self._max_concurrent), self._initial_waiting
        )
        if origin.users >= self._max_concurrent + origin.max_waiting:
            raise OriginBusy
        if origin.users and self._users >= self._max_users:
            raise OriginBusy
        self._origins[name] = origin
        return origin

    async def _acquire(self, origin: _Origin) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await origin.slots.acquire()
        except TimeoutError:
            origin.max_waiting = 0
            raise OriginBusy from None

    def _max_waiting_at(self, pace_seconds: float) -> int:
        return int(self._max_concurrent * self._wait_seconds / max(pace_seconds, 0.001))


@dataclass
class _Origin:
    """One origin's slots, how many may wait for them, and how many hold or await one."""

    slots: asyncio.Semaphore
    max_waiting: int
    users: int = 0
