"""Messages as coroutines, over a real worker and a store that may be killed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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
    """An actor that waits until it is released."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.canceled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()

    async def work(self, word: Any) -> None:
        """Start, and wait."""
        self._loop = asyncio.get_running_loop()
        self.started.append(word)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.canceled = True
            raise

    def release(self) -> None:
        """Let all its messages end."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._open.set)


def test_work_that_ended_while_redis_was_down_is_acknowledged_when_it_is_back(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.ack_batcher._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    gate = Gate()
    with redis.Redis.from_url(valkey.url) as store, running_worker(valkey.url, gate.work):
        # Given as much work in progress as there are slots
        for number in range(PREFETCH):
            enqueue(store, message(args=[number]))
        until(lambda: len(gate.started) == PREFETCH, 10, "the work")
        # When it ends while Redis is down
        valkey.kill()
        gate.release()
        valkey.start()
        # Then no message is left, and its slots are free
        until(lambda: queues_are_empty(store), 20, "the acknowledgements")
        enqueue(store, message())
        until(lambda: "good" in gate.started, 10, "the next message")
        until(lambda: queues_are_empty(store), 10, "its acknowledgement")
    assert len(gate.started) == PREFETCH + 1


def test_a_worker_stops_in_time_with_work_in_progress_and_redis_down(valkey: Valkey) -> None:
    gate = Gate()
    with redis.Redis.from_url(valkey.url) as store, running_worker(valkey.url, gate.work, 0.5):
        enqueue(store, message())
        until(lambda: gate.started, 10, "the work")
        # When it is told to stop while Redis is down
        valkey.kill()
        stopped_at = time.monotonic()
    # Then its work was canceled, and nothing else was waited for
    assert gate.canceled
    assert time.monotonic() - stopped_at < 6
    # And nobody tries to acknowledge it for ever
    until(lambda: not [each for each in threading.enumerate() if "ack-" in each.name], 10)


def test_the_time_of_running_work_counts_from_the_signal(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with running_worker(store_url, gate.work, 100) as (broker, worker):
        enqueue(store, message())
        until(lambda: gate.started, 10, "the work")
        # Given that the signal came long before the worker stops
        broker.emit_before("worker_shutdown", worker)
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 99.9)
        monkeypatch.setattr("actors.dramatiq_async.shutdown.time", later)
        stopped_at = time.monotonic()
    # Then its work has what is left of its time, and no more
    assert gate.canceled
    assert time.monotonic() - stopped_at < 50


def test_a_message_received_after_the_dispatcher_stopped_returns_to_its_queue(
    store: redis.Redis, store_url: str
) -> None:
    gate = Gate()
    with running_worker(store_url, gate.work, 0.2) as (broker, worker):
        enqueue(store, message())
        until(lambda: gate.started, 10, "the work")
        # Given a message that arrives when the dispatcher has stopped
        worker.workers[0].stop()
        until(lambda: not worker.workers[0].is_alive(), 10, "the dispatcher's end")
        late = enqueue(store, message(args=["late"]))
        acks = f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}"
        until(lambda: store.sismember(acks, late), 10, "its arrival")
    # Then it waits for another worker
    assert store.lrange(f"{NAMESPACE}:{QUEUE}", 0, -1) == [late.encode()]
    assert gate.started == ["good"]


def test_messages_that_were_fetched_and_not_started_return_to_their_queue_at_a_stop(
    store: redis.Redis, store_url: str
) -> None:
    started: list[str] = []
    released = threading.Event()

    async def block(word: str) -> None:
        started.append(word)
        if word == "first":
            # Blocks the loop on purpose: no other message starts before the stop.
            assert released.wait(20)

    # Given a worker that has fetched many messages and started one
    with running_worker(store_url, block, prefetch=100) as (broker, worker):
        slots = broker.in_flight[QUEUE]
        for number in range(50):
            enqueue(store, message(args=[str(number) if number else "first"]))
        until(lambda: len(broker.in_flight[QUEUE]) == 50, 20, "the messages")
        until(worker.work_queue.empty, 20, "their dispatch")
        # When it is told to stop
        threading.Timer(0.3, released.set).start()
    # Then most of them wait for another worker
    assert started[0] == "first"
    assert len(started) < 10
    assert store.llen(f"{NAMESPACE}:{QUEUE}") == 50 - len(started)
    assert not slots


def test_an_overdue_actor_is_canceled_and_occupies_no_slot(
    store: redis.Redis, store_url: str
) -> None:
    gate = Gate()
    with (
        capture_logs() as lines,
        running_worker(store_url, gate.work, time_limit=200),
    ):
        # Given as much work as there are slots, which would never end
        for number in range(PREFETCH):
            enqueue(store, message(args=[number]))
        until(lambda: gate.started == [0, 1], 10, "the work")
        # Then it ends all the same, and there is a slot for the next
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
        enqueue(store, message())
        until(lambda: "good" in gate.started, 10, "the next message")
        gate.release()
        until(lambda: queues_are_empty(store), 10, "its end")
    assert gate.canceled
    late = [line for line in lines if "timed out" in line["event"]]
    assert [(line["actor"], line["args"]) for line in late] == [("note", (0,)), ("note", (1,))]


def test_a_timeout_error_of_the_actor_itself_is_not_taken_for_its_time_limit(
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


def test_a_thousand_messages_ending_together_are_acknowledged_in_few_round_trips(
    store: redis.Redis, store_url: str
) -> None:
    gate, count = Gate(), 1000
    with running_worker(store_url, gate.work, prefetch=count):
        for number in range(count):
            enqueue(store, message(args=[number]), notify=False)
        enqueue(store, message())
        until(lambda: len(gate.started) >= count, 30, "the work")
        before = store.info("stats")["total_reads_processed"]
        gate.release()
        until(lambda: queues_are_empty(store), 30, "the acknowledgements")
        # The checks of this test are among them
        assert store.info("stats")["total_reads_processed"] - before < count / 2


def test_the_current_message_is_each_tasks_own(store: redis.Redis, store_url: str) -> None:
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
