"""Event loop lag, measured from another thread, with the stack of whatever blocks the loop.

The watchdog schedules a callback (a probe) on the loop now and then. The probe's delay is what a
request that came at that moment would have waited. This is a sample: some blocks shorter than the
pause between two probes are missed, in proportion. When a probe is overdue, the loop's stack is
taken while the loop is still blocked, so the log names the place that blocks it.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import sys
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Final

from service.logging.setup import get_logger

#: A loop that runs a probe later than this is blocked.
BLOCKED_SECONDS: Final = 0.05
#: Between two probes; random, so that they do not keep step with anything the loop does regularly.
PAUSE_SECONDS: Final = (0.1, 0.25)
#: A block longer than this is logged while it lasts as well as at its end.
LONG_BLOCK_SECONDS: Final = 2.0
#: Each function that blocks is logged once in this time.
REPEAT_SECONDS: Final = 60.0
#: Upper bounds of the histogram's buckets, in seconds.
BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)

_MAX_FRAMES: Final = 12
_JOIN_SECONDS: Final = 1.0

_log = get_logger(__name__)


@dataclass(frozen=True)
class LagSnapshot:
    """What was measured since the watchdog started.

    Parameters:
      buckets: Delays up to each bound of BOUNDS and above the bound before it, counted.
      total_us: The sum of all delays, in microseconds.
      peak_seconds: The longest delay since the snapshot before this one.
    """

    buckets: tuple[int, ...]
    total_us: int
    peak_seconds: float


class _Probe:
    """A callback that measures how long it waits for the loop, and notes where the loop runs."""

    def __init__(self) -> None:
        self._sent = time.perf_counter()
        self._seconds: float | None = None
        self.done = threading.Event()
        self.thread = 0
        #: The code right below a callback on the stack: every frame above it is the callback's.
        self.runner: CodeType | None = None

    def run(self) -> None:
        self._seconds = time.perf_counter() - self._sent
        self.thread, self.runner = threading.get_ident(), sys._getframe(1).f_code
        self.done.set()

    def seconds(self) -> float:
        """The delay; the delay so far if the probe has not run."""
        return time.perf_counter() - self._sent if self._seconds is None else self._seconds


class EventLoopWatchdog(threading.Thread):
    """Watches one event loop of this process.

    Parameters:
      loop: asyncio's own or uvloop's.
      pause_seconds: The shortest and the longest pause between two probes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pause_seconds: tuple[float, float] = PAUSE_SECONDS,
    ) -> None:
        super().__init__(name="event-loop-watchdog", daemon=True)
        self._loop = loop
        self._pause_seconds = pause_seconds
        # Its own: other code may seed the module's and rely on the sequence.
        self._random = random.Random()
        self._stopped = threading.Event()
        self._probe = _Probe()
        self._lock = threading.Lock()
        self._buckets = [0] * len(BOUNDS)
        self._total_us = 0
        self._peak = 0.0
        self._logged_at: dict[str, float] = {}

    def run(self) -> None:
        """Send probes until stopped, or until the loop is closed."""
        last = self._probe
        while not self._stopped.wait(self._random.uniform(*self._pause_seconds)):
            self._probe = probe = _Probe()
            try:
                self._loop.call_soon_threadsafe(probe.run)
            except RuntimeError:
                return  # closed
            self._follow(probe, last)
            last = probe

    def stop(self) -> None:
        """End the thread; may be called on the loop, whose probe is not waited for."""
        self._stopped.set()
        self._probe.done.set()
        if self.is_alive():
            self.join(_JOIN_SECONDS)

    def snapshot(self) -> LagSnapshot:
        """What was measured so far; the peak starts again at zero."""
        with self._lock:
            peak, self._peak = self._peak, 0.0
            return LagSnapshot(tuple(self._buckets), self._total_us, peak)

    def _follow(self, probe: _Probe, last: _Probe) -> None:
        # If `stop` came before this probe was made, it woke up the one before.
        if not self._stopped.is_set() and not probe.done.wait(BLOCKED_SECONDS):
            self._log_block(probe, _callback_stack(probe, last))
        if not self._stopped.is_set():
            self._record(probe.seconds())

    def _log_block(self, probe: _Probe, stack: list[str]) -> None:
        """Wait for the end of a block and log it."""
        is_logged = bool(stack) and self._is_new(stack[-1])
        if not probe.done.wait(LONG_BLOCK_SECONDS):
            if is_logged:
                _warn("event loop is blocked", stack, probe)
            probe.done.wait()
        if is_logged and not self._stopped.is_set():
            _warn("event loop was blocked", stack, probe)

    def _is_new(self, place: str) -> bool:
        now, function = time.monotonic(), re.sub(r":\d+ ", " ", place)
        recent = {at: when for at, when in self._logged_at.items() if now - when < REPEAT_SECONDS}
        self._logged_at = {function: now, **recent}
        return function not in recent

    def _record(self, seconds: float) -> None:
        with self._lock:
            self._buckets[bisect_left(BOUNDS, seconds)] += 1
            self._total_us += round(seconds * 1_000_000)
            self._peak = max(self._peak, seconds)


def _callback_stack(probe: _Probe, last: _Probe) -> list[str]:
    """The stack of the callback that keeps a probe waiting, innermost last.

    Empty where no Python code runs on the loop: then the machine had no time for the process, or
    the loop works through very many short callbacks.
    """
    frame, frames = sys._current_frames().get(last.thread), list[FrameType]()
    while frame is not None and frame.f_code is not last.runner:
        frames.append(frame)
        frame = frame.f_back
    places = [_place(frame) for frame in reversed(frames[:_MAX_FRAMES])]
    is_callback = frame is not None and frames and frames[-1].f_code is not _Probe.run.__code__
    return places if is_callback and not probe.done.is_set() else []


def _place(frame: FrameType) -> str:
    """Where a frame is, without any of its values."""
    file = "/".join(frame.f_code.co_filename.rsplit("/", 3)[-3:])
    return f"{file}:{frame.f_lineno} {frame.f_code.co_qualname}"


def _warn(message: str, stack: list[str], probe: _Probe) -> None:
    duration_ms = round(probe.seconds() * 1000)
    _log.warning(message, place=stack[-1], duration_ms=duration_ms, frames=stack)
