"""How late the event loop is: measured from outside, with the stack of whatever blocks it.

A thread asks the loop for an answer now and then, and the answer's delay is what a request that
came at that moment would have waited. It is a sample: of blocks shorter than the pause between two
questions some are missed, in proportion. Where the answer is overdue the loop's stack is taken
while it is still blocked, so that the line in the log names the place and not a guess.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Final

from service.logging.setup import get_logger

#: A loop that answers later than this is blocked.
BLOCKED_SECONDS: Final = 0.05
#: Between two questions, drawn anew each time so that no habit of the loop's hides from them.
PAUSE_SECONDS: Final = (0.1, 0.25)
#: A block that lasts longer is told of while it lasts.
PATIENCE_SECONDS: Final = 2.0
#: One line in this time for each place.
QUIET_SECONDS: Final = 60.0
#: Upper bounds of the histogram's buckets, in seconds.
BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)

_DEEPEST: Final = 12
_JOIN_SECONDS: Final = 1.0

_log = get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What was measured since the watch began.

    Parameters:
      buckets: How many answers came within each bound of BOUNDS and not the one before.
      total_us: The sum of all delays, in microseconds.
      peak_seconds: The longest delay since the reading before this one.
    """

    buckets: tuple[int, ...]
    total_us: int
    peak_seconds: float


class _Question:
    """One question to the loop.

    Parameters:
      watch: Who asks; learns from the answer where the loop runs.
    """

    def __init__(self, watch: LoopWatch) -> None:
        self._watch = watch
        self._asked = time.perf_counter()
        self._seconds: float | None = None
        self.answered = threading.Event()

    def answer(self) -> None:
        """Answer, on the loop."""
        self._seconds = time.perf_counter() - self._asked
        self._watch.runs_at(threading.get_ident(), sys._getframe(1).f_code)
        self.answered.set()

    def seconds(self) -> float:
        """How long the answer took, or has taken so far."""
        return time.perf_counter() - self._asked if self._seconds is None else self._seconds


class LoopWatch(threading.Thread):
    """Watches one loop of this process.

    Parameters:
      loop: The loop; asyncio's own or uvloop's.
      pause_seconds: The shortest and the longest pause between two questions.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pause_seconds: tuple[float, float] = PAUSE_SECONDS,
    ) -> None:
        super().__init__(name="loopwatch", daemon=True)
        self._loop = loop
        self._pause_seconds = pause_seconds
        # Its own: other threads may count on the module's not moving under them.
        self._dice = random.Random()
        self._stopped = threading.Event()
        self._question = _Question(self)
        self._lock = threading.Lock()
        self._buckets = [0] * len(BOUNDS)
        self._total_us = 0
        self._peak = 0.0
        self._thread: int | None = None
        self._runner: CodeType | None = None
        self._said: dict[str, float] = {}

    def run(self) -> None:
        """Ask until stopped, or until the loop is closed."""
        while not self._stopped.wait(self._dice.uniform(*self._pause_seconds)):
            self._question = _Question(self)
            try:
                self._loop.call_soon_threadsafe(self._question.answer)
            except RuntimeError:
                return  # closed
            self._follow(self._question)

    def stop(self) -> None:
        """End the thread; may be called on the loop, whose answer is not waited for."""
        self._stopped.set()
        self._question.answered.set()
        if self.is_alive():
            self.join(_JOIN_SECONDS)

    def reading(self) -> Reading:
        """What was measured so far; the peak begins anew."""
        with self._lock:
            peak, self._peak = self._peak, 0.0
            return Reading(tuple(self._buckets), self._total_us, peak)

    def runs_at(self, thread: int, runner: CodeType) -> None:
        """Learn where the loop runs.

        Parameters:
          thread: The thread's id.
          runner: What stands right under a callback: what is above it is the callback's.
        """
        self._thread, self._runner = thread, runner

    def _follow(self, question: _Question) -> None:
        # Stopped while this one was made: nobody else would end the wait.
        if not self._stopped.is_set() and not question.answered.wait(BLOCKED_SECONDS):
            self._see_out(question, self._stack(question))
        if not self._stopped.is_set():
            self._record(question.seconds())

    def _see_out(self, question: _Question, stack: list[str]) -> None:
        """Wait for the end of a block, and tell of it."""
        telling = bool(stack) and self._is_news(stack[-1])
        if not question.answered.wait(PATIENCE_SECONDS):
            if telling:
                _tell(stack, question, over=False)
            question.answered.wait()
        if telling and not self._stopped.is_set():
            _tell(stack, question, over=True)

    def _record(self, seconds: float) -> None:
        with self._lock:
            self._buckets[bisect_left(BOUNDS, seconds)] += 1
            self._total_us += round(seconds * 1_000_000)
            self._peak = max(self._peak, seconds)

    def _stack(self, question: _Question) -> list[str]:
        """What the loop is at, innermost last; empty where it is at nothing of Python's.

        Then the machine had no time for it, or it works through very many small things.
        """
        top = None if self._thread is None else sys._current_frames().get(self._thread)
        frames = _above(self._runner, top)
        if not frames or frames[-1].f_code is _Question.answer.__code__:
            return []
        places = [_place(frame) for frame in reversed(frames[:_DEEPEST])]
        return [] if question.answered.is_set() else places

    def _is_news(self, line: str) -> bool:
        now = time.monotonic()
        self._said = {at: then for at, then in self._said.items() if now - then < QUIET_SECONDS}
        # The same function is the same place, whichever of its lines it was.
        place = " ".join((line.rpartition(":")[0], line.partition(" ")[2]))
        return self._said.setdefault(place, now) == now


def _above(runner: CodeType | None, top: FrameType | None) -> list[FrameType]:
    """The frames of the callback that runs, innermost first; none where none runs."""
    frames = []
    while top is not None and top.f_code is not runner:
        frames.append(top)
        top = top.f_back
    return [] if top is None else frames


def _place(frame: FrameType) -> str:
    """Where a frame is, without a value of it."""
    file = "/".join(frame.f_code.co_filename.rsplit("/", 3)[-3:])
    return f"{file}:{frame.f_lineno} {frame.f_code.co_qualname}"


def _tell(stack: list[str], question: _Question, *, over: bool) -> None:
    _log.warning(
        "the event loop was blocked" if over else "the event loop is blocked",
        place=stack[-1],
        duration_ms=round(question.seconds() * 1000),
        frames=stack,
    )
