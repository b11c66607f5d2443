"""Deliveries from a real store to real servers; an endpoint that hangs delays no other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from actors.deliveries.deliver import NOT_COUNTED_RETRY_MS, deferral_ms, deliver
from actors.egress.callback_client import CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from actors.runtime import Runtime
from deploy.local import wait
from service.deliveries.attempt_results import AttemptResult
from service.deliveries.retry_schedule import HARD_STOP_MS
from service.network.ip_filter import IpFilter, parse_cidrs
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness, open_ledger
from tests.support.limited_ledger import SLACK, now_ms
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


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    with open_ledger(store_url) as ledger:
        yield ledger


def due_deliveries(ledger: LedgerHarness, callback: str, count: int) -> list[str]:
    """Deliveries that are due, to one endpoint."""
    for job_id in ledger.add_jobs(count, callback=callback):
        assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    ledger.take_messages()
    return ledger.take_messages("callbacks")


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


class ScriptedClient:
    """A callback client whose attempts end as they are told to."""

    def __init__(self, *results: AttemptResult) -> None:
        self._results = list(results)

    async def post(self, _url: str, _headers: Any, _body: bytes) -> AttemptResult:
        """Return the next result; the last one for good."""
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]


def attempts(
    ledger: LedgerHarness, *results: AttemptResult, count: int = 1, age_ms: int = 0
) -> dict[str, Any]:
    """Make so many attempts at one delivery, each when it is due; the delivery as the API has it.

    Parameters:
      ledger: The ledger.
      results: How the attempts end.
      count: How many; fewer when the delivery has ended.
      age_ms: How long ago the delivery was created.
    """
    [delivery_id] = due_deliveries(ledger, "crm", 1)
    if age_ms:
        created = int(ledger.store.hget(f"hg:dlv:{delivery_id}", "created") or 0)
        ledger.store.hset(f"hg:dlv:{delivery_id}", "created", created - age_ms)
    runtime = make_runtime(ledger, endpoint("crm"), callback_client=ScriptedClient(*results))
    for _ in range(count):
        ledger.run(deliver(runtime, delivery_id))
        wait_ms = ledger.delivery(delivery_id)["attempt_log"][-1]["next_in_ms"]
        ledger.pass_time(wait_ms or 0)
        ledger.heartbeat()
    runtime.heartbeat.stop()
    return ledger.delivery(delivery_id)


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


FAILURE = AttemptResult("retry", "http_500", status=500)


def test_failed_attempts_follow_the_schedule_to_its_end(ledger: LedgerHarness) -> None:
    delivery = attempts(ledger, FAILURE, count=13)

    # Then the waits are those before the second to the twelfth attempt, up to a fifth longer
    waits = [entry["next_in_ms"] for entry in delivery["attempt_log"]]
    minutes = (5 / 60, 0.5, 2, 10, 30, 120, 300, 600, 840, 1200, 1440)
    for wait_ms, usual in zip(waits, minutes, strict=False):
        assert usual <= wait_ms / 60_000 <= usual * 1.2
    # And the twelfth is the last
    assert (waits[len(minutes) :], delivery["status"], delivery["attempts"]) == (
        [None],
        "failed",
        12,
    )


def test_a_wait_that_the_endpoint_requests_is_kept(ledger: LedgerHarness) -> None:
    busy = AttemptResult("retry", "http_503", status=503, retry_after_ms=90_000)
    [entry] = attempts(ledger, busy)["attempt_log"]

    assert 90_000 <= entry["next_in_ms"] <= 108_000


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (AttemptResult("delivered", "http_200", status=200), "delivered"),
        (AttemptResult("gone", "http_410", status=410), "failed"),
        (AttemptResult("final", "blocked_address"), "failed"),
    ],
)
def test_a_final_result_ends_the_delivery(
    ledger: LedgerHarness, result: AttemptResult, status: str
) -> None:
    delivery = attempts(ledger, result)

    [entry] = delivery["attempt_log"]
    assert (delivery["status"], entry["next_in_ms"]) == (status, None)


def test_an_attempt_that_does_not_count_is_made_again_soon(ledger: LedgerHarness) -> None:
    delivery = attempts(ledger, AttemptResult("not_counted", "local_resources"))

    [entry] = delivery["attempt_log"]
    assert (entry["number"], entry["next_in_ms"]) == (None, NOT_COUNTED_RETRY_MS)
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)


def test_no_attempt_follows_the_hard_stop(ledger: LedgerHarness) -> None:
    # Given a delivery whose next attempt would be due just after it
    delivery = attempts(ledger, FAILURE, age_ms=HARD_STOP_MS - 4_000)

    assert (delivery["status"], delivery["attempts"]) == ("failed", 1)


def test_a_busy_origin_puts_a_delivery_off_for_ever_longer(ledger: LedgerHarness) -> None:
    [delivery_id] = due_deliveries(ledger, "crm", 1)
    busy = ScriptedClient(AttemptResult("not_counted", "origin_busy"))
    runtime = make_runtime(ledger, endpoint("crm"), callback_client=busy)
    for usual_ms in (1_000, 2_000, 4_000, 8_000, 16_000):
        before = now_ms(ledger.store)
        ledger.run(deliver(runtime, delivery_id))
        due = int(ledger.store.hget(f"hg:dlv:{delivery_id}", "next_at") or 0)
        assert usual_ms // 2 <= due - before <= usual_ms * 1.5 + SLACK
        ledger.pass_time(due - before)
        ledger.heartbeat()
    runtime.heartbeat.stop()


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


def test_a_response_that_repeats_secrets_is_logged_without_them(ledger: LedgerHarness) -> None:
    crm = endpoint("crm")
    body = f"bad signature {crm.secrets[0]} for {crm.url}?"
    [entry] = attempts(ledger, AttemptResult("retry", "http_400", status=400, body=body))[
        "attempt_log"
    ]

    assert entry["body"].startswith("bad signature ")
    assert not [each for each in (*crm.secrets, crm.url) if each in entry["body"]]


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


def test_deferred_deliveries_come_back_ever_later_and_not_together() -> None:
    usual = [deferral_ms(times, 0.5) for times in (*range(8), 10_000)]

    assert usual == [1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3, 60e3]
    assert [deferral_ms(0, jitter) for jitter in (0.0, 0.999)] == [500, 1499]
