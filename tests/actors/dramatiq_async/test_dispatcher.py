"""Messages as coroutines while the store goes away, over a real one and a real worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq.middleware import CurrentMessage
from structlog.testing import capture_logs

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.jobs.actor_routes import NAMESPACE
from tests.support.dramatiq_worker import (
    PREFETCH,
    QUEUE,
    enqueue,
    message,
    queues_are_empty,
    running_worker,
)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store to kill."""
    with Valkey(tmp_path) as store:
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
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.ack_batcher._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    gate = Gate()
    with redis.Redis.from_url(valkey.url) as store, running_worker(valkey.url, gate.work):
        # Given as much work under way as there are places
        for number in range(PREFETCH):
            enqueue(store, message(args=[number]))
        until(lambda: len(gate.begun) == PREFETCH, 10, "the work")
        # When it ends while the store is away
        valkey.kill()
        gate.release()
        valkey.start()
        # Then nothing is left of it, and its places are free
        until(lambda: queues_are_empty(store), 20, "the acknowledgements")
        enqueue(store, message())
        until(lambda: "good" in gate.begun, 10, "the next message")
        until(lambda: queues_are_empty(store), 10, "its acknowledgement")
    assert len(gate.begun) == PREFETCH + 1


def test_a_worker_ends_in_time_with_work_under_way_and_no_store(valkey: Valkey) -> None:
    gate = Gate()
    with redis.Redis.from_url(valkey.url) as store, running_worker(valkey.url, gate.work, 0.5):
        enqueue(store, message())
        until(lambda: gate.begun, 10, "the work")
        # When it is told to stop while the store is away
        valkey.kill()
        told = time.monotonic()
    # Then its work was canceled, and nothing was waited for
    assert gate.canceled
    assert time.monotonic() - told < 6


def test_a_message_that_came_too_late_goes_back_to_its_queue(
    store: redis.Redis, store_url: str
) -> None:
    gate = Gate()
    with running_worker(store_url, gate.work, 0.2) as (broker, worker):
        enqueue(store, message())
        until(lambda: gate.begun, 10, "the work")
        # Given a message that arrives when the dispatcher has stopped taking
        worker.workers[0].stop()
        until(lambda: not worker.workers[0].is_alive(), 10, "the dispatcher's end")
        late = enqueue(store, message(args=["late"]))
        acks = f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}"
        until(lambda: store.sismember(acks, late), 10, "its arrival")
    # Then it waits for another worker
    assert store.lrange(f"{NAMESPACE}:{QUEUE}", 0, -1) == [late.encode()]
    assert gate.begun == ["good"]


def test_what_takes_too_long_is_canceled_and_keeps_no_place(
    store: redis.Redis, store_url: str
) -> None:
    gate = Gate()
    with (
        capture_logs() as lines,
        running_worker(store_url, gate.work, time_limit=200),
    ):
        # Given as much work as there are places, which would never end
        for number in range(PREFETCH):
            enqueue(store, message(args=[number]))
        until(lambda: gate.begun == [0, 1], 10, "the work")
        # Then it ends all the same, and there is a place for the next
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
        enqueue(store, message())
        until(lambda: "good" in gate.begun, 10, "the next message")
        gate.release()
        until(lambda: queues_are_empty(store), 10, "its end")
    assert gate.canceled
    late = [line for line in lines if "timed out" in line["event"]]
    assert [(line["actor"], line["args"]) for line in late] == [("note", (0,)), ("note", (1,))]


def test_an_error_of_its_own_about_time_is_no_overdue_actor(
    store: redis.Redis, store_url: str
) -> None:
    async def gives_up(_word: str) -> None:
        raise TimeoutError

    with capture_logs() as lines, running_worker(store_url, gives_up):
        enqueue(store, message())
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "actor failed; job will be retried"
    ]


def test_thousands_of_ends_at_once_are_acknowledged_in_few_round_trips(
    store: redis.Redis, store_url: str
) -> None:
    gate, count = Gate(), 1000
    with running_worker(store_url, gate.work, prefetch=count):
        for number in range(count):
            enqueue(store, message(args=[number]), ring=False)
        enqueue(store, message())
        until(lambda: len(gate.begun) >= count, 30, "the work")
        before = store.info("stats")["total_reads_processed"]
        gate.release()
        until(lambda: queues_are_empty(store), 30, "the acknowledgements")
        # This test's own looks are among them
        assert store.info("stats")["total_reads_processed"] - before < count / 2


def test_each_message_knows_itself_while_many_are_under_way(
    store: redis.Redis, store_url: str
) -> None:
    seen: dict[int, Any] = {}

    async def note(number: int) -> None:
        await asyncio.sleep(0.01)
        message = CurrentMessage.get_current_message()
        seen[number] = message and message.args[0]

    with running_worker(store_url, note, prefetch=100):
        for number in range(100):
            enqueue(store, message(args=[number]))
        until(lambda: queues_are_empty(store), 20, "the end of all messages")
    assert seen == {number: number for number in range(100)}
