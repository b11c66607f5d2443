"""Messages as coroutines while the store goes away, over a real one and a real worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.store import Store
from deploy.local.waiting import until
from service.jobs.wakeups import NAMESPACE
from tests.support.workers import PREFETCH, QUEUE, nothing_stays, put, whole, working


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Store]:
    """A store to kill."""
    with Store(tmp_path) as store:
        yield store


class Gate:
    """An actor that waits to be let go."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.canceled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()

    async def work(self, word: Any) -> None:
        """Begin, and wait."""
        self._loop = asyncio.get_running_loop()
        self.begun.append(word)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.canceled = True
            raise

    def release(self) -> None:
        """Let everything go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._open.set)


def test_what_ended_while_the_store_was_away_is_acknowledged_when_it_is_back(
    mortal: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dispatch._ACK_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    gate = Gate()
    with redis.Redis.from_url(mortal.url) as store, working(mortal.url, gate.work):
        # Given as much work under way as there are places
        for number in range(PREFETCH):
            put(store, whole(args=[number]))
        until(lambda: len(gate.begun) == PREFETCH, 10, "the work")
        # When it ends while the store is away
        mortal.kill()
        gate.release()
        mortal.start()
        # Then nothing is left of it, and its places are free
        until(lambda: nothing_stays(store), 20, "the acknowledgements")
        put(store, whole())
        until(lambda: "good" in gate.begun, 10, "the next message")
        until(lambda: nothing_stays(store), 10, "its acknowledgement")
    assert len(gate.begun) == PREFETCH + 1


def test_a_worker_ends_in_time_with_work_under_way_and_no_store(mortal: Store) -> None:
    gate = Gate()
    with redis.Redis.from_url(mortal.url) as store, working(mortal.url, gate.work, 0.5):
        put(store, whole())
        until(lambda: gate.begun, 10, "the work")
        # When it is told to stop while the store is away
        mortal.kill()
        told = time.monotonic()
    # Then its work was canceled, and nothing was waited for
    assert gate.canceled
    assert time.monotonic() - told < 6


def test_a_message_that_came_too_late_goes_back_to_its_queue(
    store: redis.Redis, store_url: str
) -> None:
    gate = Gate()
    with working(store_url, gate.work, 0.2) as (broker, worker):
        put(store, whole())
        until(lambda: gate.begun, 10, "the work")
        # Given a message that arrives when the dispatcher has stopped taking
        worker.workers[0].stop()
        until(lambda: not worker.workers[0].is_alive(), 10, "the dispatcher's end")
        late = put(store, whole(args=["late"]))
        acks = f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}"
        until(lambda: store.sismember(acks, late), 10, "its arrival")
    # Then it waits for another worker
    assert store.lrange(f"{NAMESPACE}:{QUEUE}", 0, -1) == [late.encode()]
    assert gate.begun == ["good"]
