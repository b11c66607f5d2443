"""Wake-ups are Dramatiq messages: the stock broker is the reference for what the scripts write."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.worker import Worker

from service.jobs.actor_routes import NAMESPACE, ROUTES, Route
from service.jobs.model import Status
from tests.support.job_states import job_in
from tests.support.ledger import TIMES, LedgerHarness

DEADLINE_SECONDS = 20


def _broker(client: redis.Redis, **options: Any) -> Any:
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=client, namespace=NAMESPACE, middleware=[], **options
    )


@pytest.fixture
def broker(store_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(store_url) as client:
        yield _broker(client)


def _wake(ledger: LedgerHarness, kind: str) -> str:
    """Make the ledger send one wake-up of a kind; returns the id it carries."""
    if kind != "delivery":
        return ledger.add_job(kind=kind, post="Cx")
    job_id = job_in(ledger, Status.CANCELED)
    ledger.take_messages()
    return str(ledger.deliveries_of(job_id)[0]["id"])


def test_the_stream_that_wakes_workers_has_one_entry(
    ledger: LedgerHarness, store: redis.Redis
) -> None:
    for number in range(20):
        ledger.add_job(account=f"account-{number}")

    assert store.xlen("hg:bell:actions") == 1


def _layout(store: redis.Redis) -> dict[bytes, tuple[bytes, Any]]:
    """Dramatiq's keys with their types and contents, without its heartbeats."""
    found: dict[bytes, tuple[bytes, Any]] = {}
    for key in store.scan_iter(f"{NAMESPACE}:*"):
        kind: Any = store.type(key)
        if kind == b"hash":
            found[key] = (kind, store.hgetall(key))
        elif kind == b"list":
            found[key] = (kind, store.lrange(key, 0, -1))
        elif b"__heartbeats__" not in key:
            found[key] = (kind, None)
    return found


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return type(value).__name__


@pytest.mark.parametrize("kind", ROUTES)
def test_a_stock_consumer_reads_and_acks_the_scripts_messages(
    ledger: LedgerHarness, broker: Any, kind: str
) -> None:
    route, work_id = ROUTES[kind], _wake(ledger, kind)

    consumer = broker.consume(route.queue, prefetch=1, timeout=100)
    message = next(consumer)
    assert message is not None
    assert (message.queue_name, message.actor_name) == (route.queue, route.actor)
    assert (message.args, message.kwargs) == ((work_id,), {})
    clock: Any = ledger.store.time()
    assert abs(message.message_timestamp - clock[0] * 1000) < 60_000
    consumer.ack(message)

    assert _layout(ledger.store) == {}
    consumer.close()


@pytest.mark.parametrize("kind", ROUTES)
def test_the_scripts_write_the_same_keys_and_fields_as_the_stock_broker(
    ledger: LedgerHarness, broker: Any, kind: str
) -> None:
    route, work_id = ROUTES[kind], _wake(ledger, kind)
    ours = _layout(ledger.store)
    ledger.store.delete(*ours)

    broker.declare_queue(route.queue)
    broker.enqueue(_message(route, work_id))
    theirs = _layout(ledger.store)

    assert sorted(ours) == sorted(theirs)
    assert {key: kind for key, (kind, _) in ours.items()} == {
        key: kind for key, (kind, _) in theirs.items()
    }
    [our_id, our_message] = _single(ours, route)
    [their_id, their_message] = _single(theirs, route)
    assert _shape(our_message) == _shape(their_message)
    assert our_message["options"] == {"redis_message_id": our_id}
    assert their_message["options"] == {"redis_message_id": their_id}
    for name in ("queue_name", "actor_name", "args", "kwargs"):
        assert our_message[name] == their_message[name]


def _message(route: Route, work_id: str) -> dramatiq.Message[Any]:
    return dramatiq.Message(route.queue, route.actor, (work_id,), {}, {})


def _single(layout: dict[bytes, tuple[bytes, Any]], route: Route) -> tuple[str, Any]:
    queue = f"{NAMESPACE}:{route.queue}".encode()
    [message_id] = layout[queue][1]
    [(stored_id, message)] = layout[queue + b".msgs"][1].items()
    assert message_id == stored_id
    return message_id.decode(), json.loads(message)


def test_a_stock_worker_with_a_sync_actor_processes_a_wake_up(
    ledger: LedgerHarness, broker: Any
) -> None:
    job_ids: list[str] = []
    received = threading.Event()

    def send_dm(job_id: str) -> None:
        job_ids.append(job_id)
        received.set()

    route = ROUTES["dm"]
    actor: Any = dramatiq.actor(actor_name=route.actor, queue_name=route.queue, broker=broker)
    actor(send_dm)
    job_id = ledger.add_job()
    worker: Any = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        assert received.wait(DEADLINE_SECONDS)
        broker.join(route.queue, interval=5, timeout=DEADLINE_SECONDS * 1000)
    finally:
        worker.stop()

    assert job_ids == [job_id]
    assert _layout(ledger.store) == {}


def test_every_wake_up_has_its_own_message_id(ledger: LedgerHarness, broker: Any) -> None:
    job_id = ledger.add_job()
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    consumer = broker.consume(ROUTES["dm"].queue, prefetch=5, timeout=100)
    first, second = next(consumer), next(consumer)
    assert first.args == second.args == (job_id,)
    assert first.message_id != second.message_id
    for message in (first, second):
        consumer.ack(message)
    assert _layout(ledger.store) == {}
    consumer.close()


def test_a_dead_consumers_messages_go_to_another(
    ledger: LedgerHarness, broker: Any, store_url: str
) -> None:
    job_id = ledger.add_job()
    dead = broker.consume(ROUTES["dm"].queue, prefetch=1, timeout=100)
    assert next(dead) is not None

    with redis.Redis.from_url(store_url) as client:
        client.zadd(f"{NAMESPACE}:__heartbeats__", {broker.broker_id: 1})
        other = _broker(client, maintenance_chance=1_000_000)
        consumer = other.consume(ROUTES["dm"].queue, prefetch=1, timeout=100)
        message = next(consumer)
        assert message.args == (job_id,)
        consumer.ack(message)
    assert _layout(ledger.store) == {}
