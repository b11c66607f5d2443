"""Process reports: event loop lag, and counts of what no ledger script sees.

Each process writes one to Redis every few seconds, in one round trip, so that a scrape of any web
process shows all processes. The ledger's scripts count exactly what they do themselves. Counts made
here are lost with a process that is killed, for the seconds since its last report.
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
from service.metrics.event_loop_watchdog import BOUNDS, EventLoopWatchdog, LagSnapshot
from service.redis.client import REDIS_ERRORS

#: How long a report is valid, and the time its peak covers.
VALID_SECONDS: Final = 60.0
#: A process that ends waits no longer for its final report.
FINAL_REPORT_SECONDS: Final = 0.5

Tier = Literal["web", "worker"]

_log = get_logger(__name__)


def process_name() -> str:
    """A name for this process, never used before."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


class ProcessReporter:
    """Writes the reports of one process.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
      tier: The kind of process.
      every_seconds: The interval between two reports.
      subscribers: Counts the live subscribers of this process.
      connections: Returns how many connections are open, and how many may be.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        tier: Tier,
        every_seconds: float,
        *,
        subscribers: Callable[[], int] = lambda: 0,
        connections: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._tier = tier
        self._every = every_seconds
        self._subscribers = subscribers
        self._connections = connections
        # A process that reports less often than that must not seem gone between two reports.
        self._valid_seconds = max(VALID_SECONDS, 3 * every_seconds)
        self._process = process_name()
        self._counted: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._peaks: deque[float] = deque(maxlen=max(1, round(VALID_SECONDS / every_seconds)))

    def count(self, *parts: str) -> None:
        """Count something that no script sees.

        Parameters:
          parts: The counter's name, then its label values. Only values that the configuration
            bounds: each combination is kept for good.
        """
        self._counted[":".join(parts)] += 1

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Watch the running loop and report until the block ends."""
        watchdog = EventLoopWatchdog(asyncio.get_running_loop())
        watchdog.start()
        task = asyncio.create_task(self._report_forever(watchdog))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            watchdog.stop()
            await self._report_final(watchdog)

    async def _report_forever(self, watchdog: EventLoopWatchdog) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._report(watchdog.snapshot(), self._valid_seconds)

    async def _report_final(self, watchdog: EventLoopWatchdog) -> None:
        try:
            async with asyncio.timeout(FINAL_REPORT_SECONDS):
                await self._report(watchdog.snapshot(), valid_seconds=0)
        except TimeoutError:
            _log.info("final process report failed; its counts are lost")

    async def _report(self, lag: LagSnapshot, valid_seconds: float) -> None:
        """Write a report; if Redis does not answer, the next one includes its counts."""
        self._peaks.append(lag.peak_seconds)
        counts = self._counted + _lag_counts(lag, self._tier)
        grown = counts - self._reported
        peak_us = round(max(self._peaks) * 1_000_000)
        valid_ms = round(valid_seconds * 1000)
        call = report_process(
            self._process,
            self._tier,
            valid_ms,
            peak_us,
            self._subscribers(),
            *self._connections(),
            *grown.items(),
        )
        try:
            await self._scripts.run(call)
        except REDIS_ERRORS as error:
            # At `debug`: whatever needs Redis for its work logs this already.
            _log.debug("process report failed", error=type(error).__name__)
        else:
            self._reported = counts


def _lag_counts(lag: LagSnapshot, tier: Tier) -> Counter[str]:
    counts = Counter({f"lag:{tier}:total_us": lag.total_us})
    for bound, count in zip(BOUNDS, lag.buckets, strict=True):
        counts[f"lag:{tier}:{bound:g}"] = count
    return counts
