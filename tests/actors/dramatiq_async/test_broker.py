"""Messages that would take a place for ever, over a real store and a real worker."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

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
BEATS = f"{NAMESPACE}:__heartbeats__"


def noting(noted: list[Any]) -> Callable[[Any], Awaitable[None]]:
    """An actor that appends what it is given."""

    async def note(word: Any) -> None:
        noted.append(word)

    return note


FAR_MS = round(time.time() * 1000) + 6 * 24 * 3600 * 1000

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
def test_what_cannot_be_used_is_dropped_and_keeps_no_place(
    store: redis.Redis, store_url: str, poison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    noted: list[Any] = []
    # Given more poison than there are places, and a good message behind it
    for _ in range(PREFETCH * 2):
        enqueue(store, dict(poison) if isinstance(poison, dict) else poison)
    enqueue(store, message())
    # When a worker works
    with running_worker(store_url, noting(noted)):
        until(lambda: "good" in noted, 10, "the good message")
        # Then nothing is left of any
        until(lambda: queues_are_empty(store), 10, "the end of all messages")


@pytest.mark.parametrize("queue", [QUEUE, f"{QUEUE}.DQ"])
@pytest.mark.parametrize(
    "changes",
    [{"queue_name": "elsewhere"}, {"options": {"eta": FAR_MS}}, {"options": {"eta": "soon"}}],
    ids=["queue_name", "far eta", "no eta"],
)
def test_an_odd_address_or_time_is_as_good_as_none(
    store: redis.Redis, store_url: str, queue: str, changes: dict[str, Any]
) -> None:
    noted: list[Any] = []
    for number in range(PREFETCH * 2):
        enqueue(store, message(args=[number], **changes), queue)
    with running_worker(store_url, noting(noted)):
        until(lambda: sorted(noted) == list(range(PREFETCH * 2)), 10, "all of them")
        until(lambda: queues_are_empty(store), 10, "the end of all messages")


def test_dropped_messages_are_reported_without_what_they_say(
    store: redis.Redis, store_url: str
) -> None:
    enqueue(store, b"a secret that is no json")
    with capture_logs() as lines, running_worker(store_url, noting([])):
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert [(line["queue"], line["dropped"]) for line in lines] == [(QUEUE, 1)]
    assert "a secret" not in str(lines)


def test_messages_whose_fetch_was_never_answered_are_fetched_again(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    noted: list[Any] = []
    with running_worker(store_url, noting(noted)) as (broker, _):
        # Given a message that the store has handed to this process, whose reply was lost
        until(lambda: store.exists(f"{NAMESPACE}:__heartbeats__"), 10, "the worker")
        message_id = str(uuid.uuid4())
        document = message(options={"redis_message_id": message_id})
        store.hset(STORED, message_id, json.dumps(document))
        store.sadd(f"{NAMESPACE}:__acks__.{broker.broker_id}.{QUEUE}", message_id)
        # Then it is worked on within the interval, and once
        until(lambda: noted, 10, "the message")
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert noted == ["good"]


def test_what_dead_processes_had_fetched_is_worked_on_once_and_they_are_forgotten(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.RECOVERY_SECONDS", 0.2)
    # Given a dead process that had fetched more than one look takes, and one that had nothing
    ids = [str(uuid.uuid4()) for _ in range(250)]
    for message_id in ids:
        document = message(args=[message_id], options={"redis_message_id": message_id})
        store.hset(STORED, message_id, json.dumps(document))
    store.sadd(f"{NAMESPACE}:__acks__.dead.{QUEUE}", *ids, "one without a message")
    store.zadd(BEATS, {"dead": 1, "idle": 2})
    store.config_resetstat()
    noted: list[Any] = []
    # When another one works
    with running_worker(store_url, noting(noted)) as (broker, _):
        until(lambda: queues_are_empty(store), 20, "the end of the messages")
        until(lambda: store.zrange(BEATS, 0, -1) == [broker.broker_id.encode()], 10, "the living")
    # Then nobody has walked all the keys for it
    assert sorted(noted) == sorted(ids)
    assert "cmdstat_keys" not in store.info("commandstats")


def test_a_process_that_is_to_end_fetches_nothing(store: redis.Redis, store_url: str) -> None:
    broker = make_broker(settings_for(store_url), stopping=lambda: True)
    enqueue(store, message())
    assert next(broker.consume(QUEUE, PREFETCH, 1)) is None
    broker.close()
    assert store.llen(WAITING) == 1
    broker.client.close()
