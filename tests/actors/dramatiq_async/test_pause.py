"""`Worker.pause` and `Worker.resume`, over a real worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Worker
from structlog.testing import capture_logs

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.jobs.actor_routes import NAMESPACE
from tests.support.dramatiq_worker import (
    QUEUE,
    enqueue,
    message,
    queues_are_empty,
    running_worker,
)


@pytest.fixture(autouse=True)
def _quick_consumers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dramatiq's consumers take three seconds to pause."""
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store to kill."""
    with Valkey(tmp_path) as store:
        yield store


def pausing(worker: Worker) -> threading.Thread:
    """A thread in which the worker is being paused; it ends when `pause` has returned."""
    thread = threading.Thread(target=worker.pause, daemon=True)
    thread.start()
    return thread


def test_a_paused_worker_starts_nothing_until_it_is_resumed(
    store: redis.Redis, store_url: str
) -> None:
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with running_worker(store_url, note) as (_, worker):
        for word in ("first", "second"):
            worker.pause()
            enqueue(store, message(args=[word]))
            # Given that its threads have looked around since
            threads: list[Any] = [*worker.workers, *worker.consumers.values()]
            for thread in threads:
                thread.paused_event.clear()
                assert thread.paused_event.wait(20)
            assert word not in started
            worker.resume()
            until(lambda: word in started, 10, "the message")  # noqa: B023
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
    assert started == ["first", "second"]


def test_pause_returns_when_the_work_in_progress_has_ended(
    store: redis.Redis, store_url: str
) -> None:
    started, released, ended = threading.Event(), threading.Event(), threading.Event()

    async def work(_word: str) -> None:
        started.set()
        while not released.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.01)
        ended.set()

    with running_worker(store_url, work) as (_, worker):
        enqueue(store, message())
        assert started.wait(20)
        pause = pausing(worker)
        # Given that everything else of the worker has paused
        for consumer in worker.consumers.values():
            assert consumer.paused_event.wait(20)
        pause.join(0.3)
        assert pause.is_alive()
        released.set()
        pause.join(20)
        assert not pause.is_alive()
        assert ended.is_set()


def test_messages_that_have_arrived_wait_for_the_end_of_the_pause(
    store: redis.Redis, store_url: str
) -> None:
    started: list[str] = []
    released = threading.Event()

    async def block(word: str) -> None:
        started.append(word)
        if word == "first":
            # Blocks the loop on purpose: no other message starts before the pause.
            assert released.wait(20)

    with running_worker(store_url, block, prefetch=100) as (broker, worker):
        # Given many messages at the loop, of which one has started
        for number in range(50):
            enqueue(store, message(args=[str(number) if number else "first"]))
        until(lambda: len(broker.in_flight[QUEUE]) == 50, 20, "the messages")
        until(worker.work_queue.empty, 20, "their dispatch")
        # When the worker is paused
        pause = pausing(worker)
        until(lambda: worker.workers[0].paused, 20, "the pause")
        arrivals: Any = worker.work_queue.not_empty
        until(lambda: not arrivals._waiters, 20, "the dispatcher")
        released.set()
        pause.join(20)
        # Then most of them wait, and all are processed in the end
        assert not pause.is_alive()
        assert len(started) < 10
        worker.resume()
        until(lambda: queues_are_empty(store), 20, "the end of all messages")
        # And the worker knows that none is left
        join = threading.Thread(target=worker.join, daemon=True)
        join.start()
        join.join(20)
        assert not join.is_alive()
    assert len(started) == 50


def test_pause_returns_while_redis_is_down(valkey: Valkey) -> None:
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with (
        capture_logs() as lines,
        running_worker(valkey.url, note) as (broker, worker),
        redis.Redis.from_url(valkey.url) as store,
    ):
        until(lambda: broker.notifier.listening, 10, "the notifier")
        # Given a consumer that waits for Redis
        valkey.kill()
        until(lambda: "waiting for redis" in [line["event"] for line in lines], 10, "the wait")
        pause = pausing(worker)
        pause.join(20)
        assert not pause.is_alive()
        # And it works again when Redis and the worker do
        valkey.start()
        worker.resume()
        enqueue(store, message())
        until(lambda: started, 20, "the message")


def test_a_paused_worker_stops_and_leaves_the_messages_to_others(
    store: redis.Redis, store_url: str
) -> None:
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with running_worker(store_url, note) as (_, worker):
        worker.pause()
        waiting = enqueue(store, message())
    assert store.lrange(f"{NAMESPACE}:{QUEUE}", 0, -1) == [waiting.encode()]
    assert not started
