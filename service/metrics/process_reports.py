"""What each process tells of itself: how late its loop was, and what happened only in it.

Written to Redis every few seconds in one round trip, so that one scrape of any web process shows
all of them. What the ledger's scripts do they count themselves, exactly; what is counted here is
lost with a process that is killed, for the seconds since its last report.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.report_process import report_process
from service.jobs.lua.runner import Scripts
from service.logging.setup import get_logger
from service.metrics.event_loop_watchdog import BOUNDS, LoopWatch, Reading
from service.redis.client import REDIS_ERRORS

#: For how long what a process said holds, and the span of its peak.
HOLDS_SECONDS: Final = 60.0
#: The last report is not worth more when a process ends.
FAREWELL_SECONDS: Final = 0.5

Tier = Literal["web", "worker"]

_log = get_logger(__name__)


def process_name() -> str:
    """A name for this process, never used before."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


class Reporter:
    """Reports for one process.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
      tier: Which kind of process this is.
      every_seconds: How often.
      listeners: How many listen to it live.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        tier: Tier,
        every_seconds: float,
        *,
        listeners: Callable[[], int] = lambda: 0,
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._tier = tier
        self._every = every_seconds
        self._listeners = listeners
        # A process that reports more seldom is not gone between two reports.
        self._holds = max(HOLDS_SECONDS, 3 * every_seconds)
        self._process = process_name()
        self._counted: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._peaks: deque[float] = deque(maxlen=max(1, round(HOLDS_SECONDS / every_seconds)))

    def count(self, *parts: str) -> None:
        """Count something that no script sees; only what the configuration bounds may be named.

        Parameters:
          parts: What, and its labels.
        """
        self._counted[":".join(parts)] += 1

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Watch the running loop and report until the block ends."""
        watch = LoopWatch(asyncio.get_running_loop())
        watch.start()
        task = asyncio.create_task(self._report_on(watch))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watch.stop()
            await self._say_farewell(watch)

    async def _report_on(self, watch: LoopWatch) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._try(watch.reading(), self._holds)

    async def _say_farewell(self, watch: LoopWatch) -> None:
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._try(watch.reading(), 0)
        except TimeoutError:
            _log.info("the last report was not made; its counts are lost")

    async def _try(self, reading: Reading, holds_seconds: float) -> None:
        """Report; where Redis does not answer the next report carries it too."""
        self._peaks.append(reading.peak_seconds)
        seen = self._counted + _lag_counts(reading, self._tier)
        grown = seen - self._reported
        peak_us = round(max(self._peaks) * 1_000_000)
        holds_ms = round(holds_seconds * 1000)
        call = report_process(
            self._process, self._tier, holds_ms, peak_us, self._listeners(), *grown.items()
        )
        try:
            await self._scripts.run(call)
        except REDIS_ERRORS as error:
            # At `debug`: whoever has work to do says it already.
            _log.debug("a report was not made", cause=type(error).__name__)
        else:
            self._reported = seen


def _lag_counts(reading: Reading, tier: Tier) -> Counter[str]:
    counts = Counter({f"lag:{tier}:total_us": reading.total_us})
    for bound, count in zip(BOUNDS, reading.buckets, strict=True):
        counts[f"lag:{tier}:{bound:g}"] = count
    return counts
