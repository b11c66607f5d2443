"""Deliveries from a real store to real servers; an endpoint that hangs delays no other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from actors.deliveries.deliver import deliver
from actors.egress.callback_client import CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from actors.runtime import Runtime
from deploy.local import wait
from service.deliveries.retry_schedule import HARD_STOP_MS
from service.network.ip_filter import IpFilter, parse_cidrs
from tests.support.deliveries import due_deliveries
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness
from tests.support.misbehaving_servers import (
    Behaviour,
    Conversation,
    MisbehavingServer,
    answers,
    hangs_before_headers,
    serve,
)
from tests.support.runtime import endpoint, make_runtime

#: As many deliveries at a time as a small worker makes.
CONCURRENCY = 50

Servers = Mapping[str, MisbehavingServer]
Scenario = Callable[[Runtime, Servers], Coroutine[Any, Any, Any]]


def with_servers(
    ledger: LedgerHarness, behaviours: Mapping[str, Behaviour], scenario: Scenario, **limits: Any
) -> Any:
    """Run a scenario in a worker's runtime whose callback endpoints are these servers."""

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(serve(behaviour))
                for name, behaviour in behaviours.items()
            }
            backend = GuardedBackend(IpFilter(parse_cidrs("127.0.0.0/8")))
            client = await stack.enter_async_context(
                CallbackClient(
                    backend, version="1.2.3", allow_http=True, limits=CallbackLimits(**limits)
                )
            )
            endpoints = [endpoint(name, server.url()) for name, server in servers.items()]
            runtime = make_runtime(ledger, *endpoints, callback_client=client)
            runtime.heartbeat.start()
            stack.callback(runtime.heartbeat.stop)
            return await scenario(runtime, servers)

    return ledger.run(run())


async def deliver_all(runtime: Runtime, ids: list[str], concurrency: int = CONCURRENCY) -> None:
    """Deliver in order, so many at a time, as a worker does."""
    queue = iter(ids)

    async def work() -> None:
        for delivery_id in queue:
            await deliver(runtime, delivery_id)

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def takes(seconds: float) -> Behaviour:
    async def behaviour(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await asyncio.sleep(seconds)
            await conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    return behaviour


def test_a_slow_attempt_keeps_its_claim(ledger: LedgerHarness) -> None:
    [delivery_id] = due_deliveries(ledger, "crm", 1)

    def lease_ms() -> float:
        return float(ledger.store.zscore("hg:leases", delivery_id) or 0)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        attempt = asyncio.create_task(deliver(runtime, delivery_id))
        await asyncio.wait_for(servers["crm"].request_received.wait(), 30)
        claimed = lease_ms()
        await asyncio.to_thread(wait.until, lambda: lease_ms() > claimed, 5, "a renewal")
        await cancel(attempt)

    with_servers(ledger, {"crm": hangs_before_headers}, scenario)


def test_an_attempt_that_a_shutdown_interrupts_is_made_again_at_once(
    ledger: LedgerHarness,
) -> None:
    [delivery_id] = due_deliveries(ledger, "crm", 1)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        attempt = asyncio.create_task(deliver(runtime, delivery_id))
        await asyncio.wait_for(servers["crm"].request_received.wait(), 30)
        await cancel(attempt)

    with_servers(ledger, {"crm": hangs_before_headers}, scenario)

    delivery = ledger.delivery(delivery_id)
    [entry] = delivery["attempt_log"]
    assert (entry["code"], entry["number"], entry["next_in_ms"]) == ("interrupted", None, None)
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]


def test_a_hanging_endpoint_does_not_delay_another(ledger: LedgerHarness) -> None:
    # Given far more deliveries to a dead endpoint than there are slots, and one to another
    ids = due_deliveries(ledger, "dead", 200) + due_deliveries(ledger, "crm", 1)

    async def scenario(runtime: Runtime, servers: Servers) -> int:
        worker = asyncio.create_task(deliver_all(runtime, ids))
        await asyncio.wait_for(servers["crm"].request_received.wait(), 10)
        await cancel(worker)
        return servers["dead"].connections

    behaviours = {"dead": hangs_before_headers, "crm": answers(204)}
    # Then the other is called while the dead one still has its first four
    assert with_servers(ledger, behaviours, scenario) == 4
    assert audit(ledger) == []


@pytest.mark.parametrize("concurrency", [6, CONCURRENCY])
def test_deliveries_that_a_hanging_endpoint_keeps_waiting_are_deferred_and_not_listed(
    ledger: LedgerHarness, concurrency: int
) -> None:
    ids = due_deliveries(ledger, "dead", 60)

    async def scenario(runtime: Runtime, _servers: Servers) -> None:
        await deliver_all(runtime, ids, concurrency)

    with_servers(
        ledger, {"dead": hangs_before_headers}, scenario, total_seconds=1.0, wait_seconds=0.1
    )

    deliveries = [ledger.delivery(delivery_id) for delivery_id in ids]
    assert {delivery["status"] for delivery in deliveries} == {"pending"}
    listed = Counter(entry["code"] for delivery in deliveries for entry in delivery["attempt_log"])
    assert set(listed) == {"timeout"}
    assert sum(delivery["attempts"] for delivery in deliveries) == listed["timeout"] <= 8
    assert audit(ledger) == []


def test_a_burst_to_a_healthy_endpoint_drains_fast(ledger: LedgerHarness) -> None:
    ids = due_deliveries(ledger, "crm", 200)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        # When its deliveries come back as often as they were deferred and are due
        while len(servers["crm"].requests) < len(ids):
            await deliver_all(runtime, ids)
            await asyncio.sleep(0.1)

    started = time.monotonic()
    with_servers(ledger, {"crm": takes(0.02)}, scenario)

    assert time.monotonic() - started < 10 * wait.deadline_factor
    assert {ledger.delivery(delivery_id)["status"] for delivery_id in ids} == {"delivered"}
    assert {ledger.delivery(delivery_id)["attempts"] for delivery_id in ids} == {1}


def test_a_delivery_that_is_busy_past_the_hard_stop_fails_and_says_why(
    ledger: LedgerHarness,
) -> None:
    first, late = due_deliveries(ledger, "dead", 2)
    created = int(ledger.store.hget(f"hg:dlv:{late}", "created") or 0)
    ledger.store.hset(f"hg:dlv:{late}", "created", created - HARD_STOP_MS)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        holder = asyncio.create_task(deliver(runtime, first))
        await asyncio.wait_for(servers["dead"].request_received.wait(), 5)
        await deliver(runtime, late)
        await cancel(holder)

    with_servers(ledger, {"dead": hangs_before_headers}, scenario, per_origin=1, initial_waiting=0)

    delivery = ledger.delivery(late)
    assert (delivery["status"], delivery["attempts"]) == ("failed", 0)
    assert [entry["code"] for entry in delivery["attempt_log"]] == ["origin_busy"]
