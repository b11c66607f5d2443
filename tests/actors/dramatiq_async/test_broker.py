"""Messages that would occupy a slot forever, over a real store and a real worker."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import dramatiq
import pytest
import redis
from structlog.testing import capture_logs

from actors.dramatiq_async.orphan_recovery import requeue_orphaned
from actors.registry import make_broker
from deploy.local.wait import until
from service.jobs.actor_routes import NAMESPACE
from tests.support.dramatiq_worker import (
    PREFETCH,
    QUEUE,
    enqueue,
    message,
    queues_are_empty,
    running_worker,
    settings_for,
)

WAITING = f"{NAMESPACE}:{QUEUE}"
STORED = f"{WAITING}.msgs"
HEARTBEATS = f"{NAMESPACE}:__heartbeats__"


def recorder(processed: list[Any]) -> Callable[[Any], Awaitable[None]]:
    """An actor that records its argument."""

    async def note(word: Any) -> None:
        processed.append(word)

    return note


DAY_AHEAD_MS = round(time.time() * 1000) + 24 * 3600 * 1000

POISON = {
    "garbage": b"\xff\x00 no json",
    "nothing stored": None,
    "a list": b"[]",
    "null args": message(args=None),
    "null kwargs": message(kwargs=None),
    "null options": message(options=None),
    "no redis id": message(options={"redis_message_id": None}),
    "another redis id": message(args=["odd"], options={"redis_message_id": "another"}),
    "a list for a message id": message(message_id=[]),
    "a list for an actor": message(actor_name=[]),
    "an actor that is not there": message(actor_name="nobody"),
    "too many args": message(args=[1, 2, 3]),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_an_unusable_message_is_dropped_and_occupies_no_slot(
    store: redis.Redis, store_url: str, poison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    processed: list[Any] = []
    # Given more poison than there are slots, and a good message behind it
    for _ in range(PREFETCH * 2):
        enqueue(store, dict(poison) if isinstance(poison, dict) else poison)
    enqueue(store, message())
    # When a worker works
    with running_worker(store_url, recorder(processed)):
        until(lambda: "good" in processed, 10, "the good message")
        # Then no message is left
        until(lambda: queues_are_empty(store), 10, "the end of all messages")


@pytest.mark.parametrize(
    ("queue", "changes"),
    [
        (QUEUE, {"queue_name": "elsewhere"}),
        (QUEUE, {"options": {"eta": DAY_AHEAD_MS}}),
        (QUEUE, {"options": {"eta": "soon"}}),
        (f"{QUEUE}.DQ", {"queue_name": "elsewhere"}),
        (f"{QUEUE}.DQ", {"options": {"eta": 8 * DAY_AHEAD_MS}}),
        (f"{QUEUE}.DQ", {"options": {"eta": float("nan")}}),
        (f"{QUEUE}.DQ", {"options": {"eta": "soon"}}),
        (f"{QUEUE}.DQ", {"options": {"eta": None}}),
        (f"{QUEUE}.DQ", {}),
    ],
)
def test_an_odd_queue_name_or_time_in_a_message_is_ignored(
    store: redis.Redis, store_url: str, queue: str, changes: dict[str, Any]
) -> None:
    processed: list[Any] = []
    for number in range(PREFETCH * 2):
        enqueue(store, message(args=[number], **changes), queue)
    with running_worker(store_url, recorder(processed)):
        until(lambda: sorted(processed) == list(range(PREFETCH * 2)), 10, "all of them")
        until(lambda: queues_are_empty(store), 10, "the end of all messages")


def test_dropped_messages_are_logged_without_their_content(
    store: redis.Redis, store_url: str
) -> None:
    enqueue(store, b"a secret that is no json")
    with capture_logs() as lines, running_worker(store_url, recorder([])):
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert [(line["queue"], line["dropped"]) for line in lines] == [(QUEUE, 1)]
    assert "a secret" not in str(lines)


def test_messages_whose_fetch_got_no_reply_are_fetched_again(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    processed: list[Any] = []
    with running_worker(store_url, recorder(processed)) as (broker, _):
        # Given a message that Redis has handed to this process, with the reply lost
        until(lambda: store.exists(f"{NAMESPACE}:__heartbeats__"), 10, "the worker")
        message_id = str(uuid.uuid4())
        document = message(options={"redis_message_id": message_id})
        store.hset(STORED, message_id, json.dumps(document))
        store.sadd(f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}", message_id)
        # Then it is processed within the interval, and once
        until(lambda: processed, 10, "the message")
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert processed == ["good"]


def test_messages_of_dead_processes_are_processed_once_and_the_processes_forgotten(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    # Given a dead process that had fetched more than one recovery takes, and one with nothing
    ids = [str(uuid.uuid4()) for _ in range(250)]
    for message_id in ids:
        document = message(args=[message_id], options={"redis_message_id": message_id})
        store.hset(STORED, message_id, json.dumps(document))
    store.sadd(f"{NAMESPACE}:__acks__.dead.{QUEUE}", *ids, "one without a message")
    store.zadd(HEARTBEATS, {"dead": 1, "idle": 2})
    store.config_resetstat()
    processed: list[Any] = []
    # When another one runs
    with running_worker(store_url, recorder(processed)) as (broker, _):
        until(lambda: queues_are_empty(store), 20, "the end of the messages")
        until(
            lambda: store.zrange(HEARTBEATS, 0, -1) == [broker.broker_id.encode()], 10, "the living"
        )
    # Then no command has walked all the keys for it
    assert sorted(processed) == sorted(ids)
    assert "cmdstat_keys" not in store.info("commandstats")


def test_a_late_acknowledgement_spares_a_message_that_another_process_took_over(
    store: redis.Redis, store_url: str
) -> None:
    broker = make_broker(settings_for(store_url))
    # Given two messages fetched by this process, of which another, thinking it dead, requeued one
    taken_over, own = enqueue(store, message()), enqueue(store, message())
    store.sadd(f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}", own)
    # When it acknowledges both
    broker.ack_all(QUEUE, [taken_over.encode(), own.encode()])
    broker.close()
    broker.client.close()
    # Then the other's message is still there
    assert store.hkeys(STORED) == [taken_over.encode()]


def test_a_stopping_process_fetches_nothing(store: redis.Redis, store_url: str) -> None:
    broker = make_broker(settings_for(store_url), stopping=lambda: True)
    enqueue(store, message())
    assert next(broker.consume(QUEUE, PREFETCH, 1)) is None
    broker.close()
    assert store.llen(WAITING) == 1
    broker.client.close()


def test_a_stopping_consumer_waits_without_spinning(store: redis.Redis, store_url: str) -> None:
    stopping = [False]
    broker = make_broker(settings_for(store_url), stopping=lambda: stopping[0])
    consumer = broker.consume(QUEUE, 1, 300)
    stopping[0] = True
    # Given a consumer that an acknowledgement has notified while the process is to end
    for _ in range(2):
        broker.notifier.event_for(QUEUE).set()
        started = time.monotonic()
        assert next(consumer) is None
        assert time.monotonic() - started >= 0.25
    broker.close()
    broker.client.close()


def test_messages_beyond_the_prefetch_are_fetched_as_soon_as_there_is_room(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that nothing is found by looking from time to time
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_SECONDS", 1000.0)
    for number in range(PREFETCH * 4):
        enqueue(store, message(args=[number]))
    processed: list[Any] = []
    with running_worker(store_url, recorder(processed)):
        until(lambda: sorted(processed) == list(range(PREFETCH * 4)), 10, "all of them")


def test_the_recovery_leaves_messages_in_progress_alone(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.05)
    started: list[str] = []
    ended = asyncio.Event()

    async def work(word: str) -> None:
        started.append(word)
        if word == "long":
            await ended.wait()
        elif word == "last":
            ended.set()

    with running_worker(store_url, work):
        enqueue(store, message(args=["long"]))
        until(lambda: started, 10, "the work")
        # Given several recoveries meanwhile
        recoveries = _calls(store, "smembers")
        for number in range(5):
            enqueue(store, message(args=[str(number)]))
            until(lambda: str(number) in started, 10, "the next work")  # noqa: B023
            until(lambda: _calls(store, "smembers") > recoveries + number, 10)  # noqa: B023
        enqueue(store, message(args=["last"]))
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
    assert started.count("long") == 1


def _calls(store: redis.Redis, command: str) -> int:
    stats: Any = store.info("commandstats")
    return int(stats[f"cmdstat_{command}"]["calls"])


def test_a_rejected_message_is_removed(store: redis.Redis, store_url: str) -> None:
    broker = make_broker(settings_for(store_url))
    dramatiq.actor(broker=broker, actor_name="note", queue_name=QUEUE)(recorder([]))
    enqueue(store, message())
    consumer = broker.consume(QUEUE, PREFETCH, 1)
    received = next(consumer)
    assert received is not None
    consumer.nack(received)
    broker.close()
    broker.client.close()
    assert queues_are_empty(store)


def test_only_ids_with_a_message_return_from_a_dead_process(store: redis.Redis) -> None:
    store.hset(STORED, "with a message", b"{}")
    store.sadd(f"{NAMESPACE}:__acks__.dead.{QUEUE}", "with a message", "without one")
    store.zadd(HEARTBEATS, {"dead": 1})
    assert requeue_orphaned(store, NAMESPACE, "own", QUEUE, [QUEUE], dead_since_ms=2) == 1
    assert store.lrange(WAITING, 0, -1) == [b"with a message"]


def test_a_process_keeps_its_own_messages_however_late_its_heartbeat(store: redis.Redis) -> None:
    store.hset(STORED, "own", b"{}")
    store.sadd(f"{NAMESPACE}:__acks__.own.{QUEUE}", "own")
    store.zadd(HEARTBEATS, {"own": 1})
    assert requeue_orphaned(store, NAMESPACE, "own", QUEUE, [QUEUE], dead_since_ms=2) == 0
    assert store.zscore(HEARTBEATS, "own") is not None
