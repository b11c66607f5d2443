"""Messages that others put on delay queues; Heliograph's own are delayed by the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

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

DELAYED = f"{NAMESPACE}:{QUEUE}.DQ"
DELAY_MS = 800


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store to kill."""
    with Valkey(tmp_path) as store:
        yield store


class Arrivals:
    """An actor that records when its messages arrive."""

    def __init__(self) -> None:
        self.at_ms: dict[str, float] = {}

    async def note(self, word: str) -> None:
        """Record it."""
        self.at_ms[word] = time.time() * 1000


def eta(delay_ms: int) -> dict[str, Any]:
    """The options of a message that is due so much later."""
    return {"eta": round(time.time() * 1000) + delay_ms}


def test_delayed_messages_are_processed_when_they_are_due_whatever_their_order(
    store: redis.Redis, store_url: str
) -> None:
    arrivals = Arrivals()
    with running_worker(store_url, arrivals.note) as (broker, _):
        actor = broker.get_actor("note")
        sent_ms = time.time() * 1000
        actor.send_with_options(args=("late",), delay=3 * DELAY_MS)
        actor.send_with_options(args=("soon",), delay=DELAY_MS)
        actor.send("now")
        until(lambda: len(arrivals.at_ms) == 3, 20, "the messages")
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
    assert list(arrivals.at_ms) == ["now", "soon", "late"]
    assert arrivals.at_ms["soon"] - sent_ms >= DELAY_MS
    assert arrivals.at_ms["late"] - sent_ms >= 3 * DELAY_MS


def test_an_idle_consumer_is_notified_of_delayed_messages(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that nothing is found by looking from time to time
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_DELAYED_SECONDS", 1000.0)
    arrivals = Arrivals()
    with running_worker(store_url, arrivals.note) as (broker, _):
        until(lambda: broker.notifier.listening, 10, "the notifier")
        for word in ("one", "two", "three"):
            broker.get_actor("note").send_with_options(args=(word,), delay=10)
            until(lambda: word in arrivals.at_ms, 10, "the message")  # noqa: B023
            until(lambda: queues_are_empty(store), 10, "the end of the message")


def test_a_delayed_message_of_a_stock_broker_is_processed_too(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_DELAYED_SECONDS", 0.5)
    arrivals = Arrivals()
    stock: Any = RedisBroker
    broker = stock(client=store, namespace=NAMESPACE)
    sender = dramatiq.actor(broker=broker, actor_name="note", queue_name=QUEUE)(arrivals.note)
    with running_worker(store_url, arrivals.note):
        sender.send_with_options(args=("good",), delay=10)
        until(lambda: "good" in arrivals.at_ms, 20, "the message")


def test_delayed_messages_return_to_their_queue_at_a_stop(
    store: redis.Redis, store_url: str
) -> None:
    waiting = enqueue(store, message(options=eta(60_000)), f"{QUEUE}.DQ")
    arrivals = Arrivals()
    with running_worker(store_url, arrivals.note) as (broker, _):
        until(lambda: broker.in_flight[f"{QUEUE}.DQ"], 10, "its arrival")
    assert store.lrange(DELAYED, 0, -1) == [waiting.encode()]
    assert arrivals.at_ms == {}


def test_delayed_messages_survive_a_crash_of_redis(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    arrivals = Arrivals()
    with (
        running_worker(valkey.url, arrivals.note) as (broker, worker),
        redis.Redis.from_url(valkey.url) as store,
    ):
        # Given a message that waits in the worker for its time
        enqueue(store, message(options=eta(3000)), f"{QUEUE}.DQ")
        until(lambda: broker.in_flight[f"{QUEUE}.DQ"], 10, "its arrival")
        thread = worker.consumers[f"{QUEUE}.DQ"]
        consumer, waiting = thread.consumer, thread.delay_queue
        # When Redis crashes, and the thread begins again with nothing
        valkey.kill()
        broker.notifier.event_for(f"{QUEUE}.DQ").set()
        until(lambda: thread.delay_queue is not waiting, 20, "the loss")
        valkey.start()
        until(lambda: thread.consumer is not consumer, 20, "a new one")
        # Then it is fetched again, and processed once
        until(lambda: arrivals.at_ms, 20, "the message")
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert list(arrivals.at_ms) == ["good"]
