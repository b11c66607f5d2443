"""One httpcore pool per origin, because httpcore looks at every connection of a pool per request.

With one pool for all, a thousand slow origins made each exchange look at a thousand connections,
for some of them at the socket; a pool per origin has a handful.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec

from httpcore import AsyncConnectionPool

from actors.idle_tracker import IdleTracker

if find_spec("sniffio") is None:
    # httpcore (1.0) tries to import it for every lock, and Python does not cache a failed search:
    # a tenth of a millisecond each, many times per exchange.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class OriginPools:
    """A connection pool for each origin in use, and for the last few that were.

    Parameters:
      make: Makes a pool.
      max_idle: How many unused pools are kept.
      idle_seconds: For how long.
    """

    def __init__(
        self, make: Callable[[], AsyncConnectionPool], max_idle: int, idle_seconds: float
    ) -> None:
        self._make = make
        self._pools: dict[str, AsyncConnectionPool] = {}
        self._usage = IdleTracker(max_idle, idle_seconds)

    def __len__(self) -> int:
        return len(self._pools)

    @asynccontextmanager
    async def acquire(self, origin: str) -> AsyncIterator[AsyncConnectionPool]:
        """Lend an origin's pool for the block."""
        pool = self._pools.get(origin) or self._pools.setdefault(origin, self._make())
        try:
            with self._usage.using(origin):
                yield pool
        finally:
            await self._close_idle()

    async def aclose(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        self._usage.clear()
        for pool in pools:
            await pool.aclose()

    async def _close_idle(self) -> None:
        for origin in self._usage.due():
            if self._usage.take(origin) is not None:
                await self._pools.pop(origin).aclose()
