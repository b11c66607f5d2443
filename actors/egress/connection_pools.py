"""Connections by origin: httpcore looks at every connection of a pool for each request.

With one pool for all, a thousand slow origins made each exchange cost a thousand looks, some of
them at sockets; a pool an origin has a handful.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec

from httpcore import AsyncConnectionPool

if find_spec("sniffio") is None:
    # httpcore (1.0) tries to import it for every lock, and a search that fails is not remembered:
    # a tenth of a millisecond each, many times an exchange.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class OriginPools:
    """A pool for each origin in use, and for the last few that were.

    Parameters:
      make: Makes a pool.
      most_idle: How many that nobody uses are kept.
      idle_seconds: For how long.
    """

    def __init__(
        self, make: Callable[[], AsyncConnectionPool], max_idle: int, idle_seconds: float
    ) -> None:
        self._make = make
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._pools: dict[str, AsyncConnectionPool] = {}
        self._users: Counter[str] = Counter()
        #: Since when nobody uses it, the longest unused first.
        self._idle: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._pools)

    @asynccontextmanager
    async def acquire(self, origin: str) -> AsyncIterator[AsyncConnectionPool]:
        """Lend an origin's pool.

        Parameters:
          origin: Whose.
        """
        pool = self._pools.get(origin) or self._pools.setdefault(origin, self._make())
        self._users[origin] += 1
        self._idle.pop(origin, None)
        try:
            yield pool
        finally:
            self._let_go(origin)
            await self._close_some()

    async def aclose(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        self._idle.clear()
        for pool in pools:
            await pool.aclose()

    def _let_go(self, origin: str) -> None:
        self._users[origin] -= 1
        if not self._users[origin]:
            del self._users[origin]
            self._idle[origin] = time.monotonic()

    async def _close_some(self) -> None:
        before = time.monotonic() - self._idle_seconds
        while self._idle:
            origin, since = next(iter(self._idle.items()))
            if since > before and len(self._idle) <= self._max_idle:
                return
            del self._idle[origin]
            await self._pools.pop(origin).aclose()
