"""The watchdog on a real loop, asyncio's own and uvloop's: what it measures, logs and leaves."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from deploy.local.wait import until
from service.metrics.event_loop_watchdog import (
    BLOCKED_SECONDS,
    BOUNDS,
    EventLoopWatchdog,
    LagSnapshot,
)

#: So often that a short block is not missed.
OFTEN = (0.002, 0.004)
SECRET = "a value in the caller's local variable"


@contextmanager
def running(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Any]:
    """A loop in a thread of its own, as the worker's is."""
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever, name="the loop", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def watching(loop: Any) -> Iterator[EventLoopWatchdog]:
    """A watchdog whose first probes have run."""
    watchdog = EventLoopWatchdog(loop, OFTEN)
    watchdog.start()
    try:
        until(lambda: sum(watchdog.snapshot().buckets) > 3)
        yield watchdog
    finally:
        watchdog.stop()


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    with running(request.param) as loop:
        yield loop


def blocks_the_loop(seconds: float, password: str = SECRET) -> str:
    """Block the caller, with a secret in a local variable."""
    time.sleep(seconds)  # is the block
    return password


def block(loop: Any, seconds: float) -> None:
    """Block the loop, and wait until it runs again."""
    done = threading.Event()
    loop.call_soon_threadsafe(blocks_the_loop, seconds)
    loop.call_soon_threadsafe(done.set)
    assert done.wait(10)


def blocks(logs: list[Any]) -> list[Any]:
    """The lines about this file's own blocks."""
    return [line for line in logs if "blocks_the_loop" in line.get("place", "")]


def late(snapshot: LagSnapshot) -> int:
    """How many probes ran later than BLOCKED_SECONDS."""
    return sum(snapshot.buckets[BOUNDS.index(BLOCKED_SECONDS) + 1 :])


def test_a_blocked_loop_is_measured_and_its_stack_is_logged_once(loop: Any) -> None:
    with capture_logs() as logs, watching(loop) as watchdog:
        before = watchdog.snapshot()
        block(loop, 0.08)
        until(lambda: late(watchdog.snapshot()) > late(before) and blocks(logs))
        block(loop, 0.08)
        twice = late(before) + 1
        until(lambda: late(watchdog.snapshot()) > twice)
    # Then one line names the place, and how long it was held up
    [line] = blocks(logs)
    assert line["place"].startswith("tests/metrics/test_event_loop_watchdog.py:")
    assert line["place"].endswith(" blocks_the_loop")
    assert line["frames"][-1] == line["place"]
    assert BLOCKED_SECONDS * 1000 < line["duration_ms"] < 2000
    assert line["log_level"] == "warning"
    # And nothing but places
    assert SECRET not in json.dumps(logs, default=repr)


def test_the_delay_of_a_block_is_the_peak_of_one_snapshot(loop: Any) -> None:
    peaks = []

    def peak() -> bool:
        peaks.append(watchdog.snapshot().peak_seconds)
        return peaks[-1] > 0.2

    with watching(loop) as watchdog:
        total = watchdog.snapshot().total_us
        threading.Thread(target=block, args=(loop, 0.3)).start()
        until(peak)
        assert 0.2 < max(peaks) < 5
        assert watchdog.snapshot().peak_seconds < max(peaks)
        assert watchdog.snapshot().total_us > total + 200_000


def test_a_loop_on_time_logs_nothing(loop: Any) -> None:
    with capture_logs() as logs, watching(loop) as watchdog:
        until(lambda: sum(watchdog.snapshot().buckets) > 50)
        assert watchdog.snapshot().buckets[0] > 0
    assert logs == []


def _late(base: Any) -> Any:
    """A loop that is late though it has nothing to do, as on an overloaded machine."""

    class Late(base):  # type: ignore[misc]
        def call_soon_threadsafe(self, callback: Any, *args: Any) -> Any:
            seconds = 1.5 * BLOCKED_SECONDS
            return super().call_soon_threadsafe(self.call_later, seconds, callback, *args)

    return Late


@pytest.mark.parametrize("base", [uvloop.Loop, asyncio.SelectorEventLoop])
def test_a_loop_that_waits_for_the_machine_is_measured_and_nothing_is_logged(base: Any) -> None:
    with capture_logs() as logs, running(_late(base)) as loop, watching(loop) as watchdog:
        until(lambda: late(watchdog.snapshot()) > 3)
    assert logs == []


def test_a_long_block_is_logged_while_it_lasts(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.metrics.event_loop_watchdog.LONG_BLOCK_SECONDS", 0.1)
    free = threading.Event()

    def blocks_the_loop_for_long() -> None:
        free.wait(10)

    with capture_logs() as logs, watching(loop):
        loop.call_soon_threadsafe(blocks_the_loop_for_long)
        during = until(lambda: [line for line in logs if line["event"] == "event loop is blocked"])
        assert "wait" in during[0]["place"]
        assert any("blocks_the_loop_for_long" in line for line in during[0]["frames"])
        free.set()
        ended = until(lambda: [line for line in logs if line["event"] == "event loop was blocked"])
        assert ended[0]["duration_ms"] >= during[0]["duration_ms"] > 100


def test_stopping_ends_the_thread_also_while_the_loop_is_blocked(loop: Any) -> None:
    free = threading.Event()
    with watching(loop) as watchdog:
        loop.call_soon_threadsafe(free.wait, 10)
        started = time.monotonic()
        until(lambda: time.monotonic() > started + 2 * BLOCKED_SECONDS)
        watchdog.stop()
        assert not watchdog.is_alive()
        assert time.monotonic() - started < 1
    free.set()


def test_a_loop_may_stop_its_own_watchdog(loop: Any) -> None:
    with watching(loop) as watchdog:

        async def stop() -> float:
            started = time.monotonic()
            watchdog.stop()
            return time.monotonic() - started

        assert asyncio.run_coroutine_threadsafe(stop(), loop).result(10) < 0.5
        assert not watchdog.is_alive()


def test_a_watchdog_ends_with_its_loop() -> None:
    with running(uvloop.new_event_loop) as loop:
        watchdog = EventLoopWatchdog(loop, OFTEN)
    watchdog.start()
    watchdog.join(5)
    assert not watchdog.is_alive()


def test_every_delay_has_a_bucket() -> None:
    assert math.isinf(BOUNDS[-1])
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert BLOCKED_SECONDS in BOUNDS
