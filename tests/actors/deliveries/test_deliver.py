"""Callbacks from a real store to real servers: one that hangs is nobody else's trouble."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from actors.deliveries.deliver import deferral_ms, deliver
from actors.egress.callback_client import CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_loader import PhotoLoader
from actors.instagram.client_pool import GatewayPool
from actors.lease_heartbeat import start_heartbeat
from actors.runtime import Runtime, WorkerConfig
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.config.settings import Settings
from service.deliveries.endpoints import CallbackEndpoint
from service.deliveries.retry_schedule import HARD_STOP_MS
from service.jobs.photo_store import PhotoStore
from service.network.ip_filter import IpFilter, parse_cidrs
from service.photos.converter import PhotoConverter
from tests.support.invariants import audit
from tests.support.ledger import TIMES, LedgerHarness, open_ledger
from tests.support.misbehaving_servers import (
    Behaviour,
    Conversation,
    Hostile,
    answers,
    hangs_before_headers,
    serve,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#: As many callbacks under way as a small worker takes.
PLACES = 50

Servers = Mapping[str, Hostile]
Scenario = Callable[[Runtime, Servers], Coroutine[Any, Any, Any]]


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    with open_ledger(store_url) as ledger:
        yield ledger


def owed(ledger: LedgerHarness, callback: str, count: int) -> list[str]:
    """Deliveries that are due, to one endpoint."""
    for job_id in ledger.add_jobs(count, callback=callback):
        assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    ledger.take_messages()
    return ledger.take_messages("callbacks")


def with_servers(
    ledger: LedgerHarness, behaviours: Mapping[str, Behaviour], scenario: Scenario, **limits: Any
) -> Any:
    """Run a scenario in a worker's runtime whose callbacks are these servers."""

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(serve(behaviour))
                for name, behaviour in behaviours.items()
            }
            backend = GuardedBackend(IpFilter(parse_cidrs("127.0.0.0/8")))
            exchange = await stack.enter_async_context(
                CallbackClient(
                    backend, version="1.2.3", allow_http=True, limits=CallbackLimits(**limits)
                )
            )
            runtime = a_runtime(ledger, exchange, servers)
            stack.callback(runtime.heartbeat.stop)
            return await scenario(runtime, servers)

    return ledger.run(run())


def a_runtime(ledger: LedgerHarness, exchange: CallbackClient, servers: Servers) -> Runtime:
    url = "redis://{host}:{port}/{db}".format(**ledger.store.connection_pool.connection_kwargs)
    endpoints = {
        name: CallbackEndpoint(name, server.url(), f"http://127.0.0.1:{server.port}", (SECRET,))
        for name, server in servers.items()
    }
    vault = SessionStore(ledger.client, derive_keys("k" * 32))
    return Runtime(
        config=WorkerConfig(Settings.model_construct(redis_url=url), {}, endpoints, TIMES),
        client=ledger.client,
        ledger=ledger.core,
        claims=ledger.claims,
        deliveries=ledger.deliveries,
        accounts=ledger.controls,
        user_ids=UserIdCache(ledger.client),
        suppressions=Suppressions(ledger.client),
        gateways=GatewayPool({}, vault),
        callback_client=exchange,
        photo_loader=PhotoLoader(
            PhotoStore(ledger.client, TIMES),
            PhotoDownloader(IpFilter(), version="1.2.3"),
            PhotoConverter(),
        ),
        heartbeat=start_heartbeat(url, TIMES),
    )


async def work_off(runtime: Runtime, ids: list[str], places: int = PLACES) -> None:
    """Deliver in order, so many at a time, as a worker does."""
    queue = iter(ids)

    async def place() -> None:
        for delivery_id in queue:
            await deliver(runtime, delivery_id)

    await asyncio.gather(*(place() for _ in range(places)))


async def ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def takes(seconds: float) -> Behaviour:
    async def behaviour(conversation: Conversation) -> None:
        while True:
            await conversation.read_request()
            await asyncio.sleep(seconds)
            await conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    return behaviour


def test_a_hanging_endpoint_does_not_hold_up_another(ledger: LedgerHarness) -> None:
    # Given far more deliveries to a dead endpoint than there are places, and one to another
    ids = owed(ledger, "dead", 200) + owed(ledger, "crm", 1)

    async def scenario(runtime: Runtime, servers: Servers) -> int:
        worker = asyncio.create_task(work_off(runtime, ids))
        await asyncio.wait_for(servers["crm"].asked.wait(), 10)
        await ended(worker)
        return servers["dead"].connections

    behaviours = {"dead": hangs_before_headers, "crm": answers(204)}
    # Then the other is called while the dead one still has its first four
    assert with_servers(ledger, behaviours, scenario) == 4
    assert audit(ledger) == []


@pytest.mark.parametrize("places", [6, PLACES])
def test_what_a_hanging_endpoint_keeps_waiting_is_put_back_untold(
    ledger: LedgerHarness, places: int
) -> None:
    ids = owed(ledger, "dead", 60)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        await work_off(runtime, ids, places)

    with_servers(
        ledger, {"dead": hangs_before_headers}, scenario, total_seconds=1.0, wait_seconds=0.1
    )

    shown = [ledger.delivery(delivery_id) for delivery_id in ids]
    assert {delivery["status"] for delivery in shown} == {"pending"}
    told = Counter(line["code"] for delivery in shown for line in delivery["attempt_log"])
    assert set(told) == {"timeout"}
    assert sum(delivery["attempts"] for delivery in shown) == told["timeout"] <= 8
    assert audit(ledger) == []


def test_a_burst_to_a_healthy_endpoint_drains_fast(ledger: LedgerHarness) -> None:
    ids = owed(ledger, "crm", 200)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        # When its deliveries come again as often as they were put back and are due
        while len(servers["crm"].requests) < len(ids):
            await work_off(runtime, ids)
            ledger.heartbeat()

    started = time.monotonic()
    with_servers(ledger, {"crm": takes(0.02)}, scenario)

    assert time.monotonic() - started < 10
    assert {ledger.delivery(each)["status"] for each in ids} == {"delivered"}
    assert {ledger.delivery(each)["attempts"] for each in ids} == {1}


def test_a_delivery_that_is_busy_past_the_hard_stop_fails_and_says_why(
    ledger: LedgerHarness,
) -> None:
    first, late = owed(ledger, "dead", 2)
    created = int(ledger.store.hget(f"hg:dlv:{late}", "created") or 0)
    ledger.store.hset(f"hg:dlv:{late}", "created", created - HARD_STOP_MS)

    async def scenario(runtime: Runtime, servers: Servers) -> None:
        holder = asyncio.create_task(deliver(runtime, first))
        await asyncio.wait_for(servers["dead"].asked.wait(), 5)
        await deliver(runtime, late)
        await ended(holder)

    with_servers(ledger, {"dead": hangs_before_headers}, scenario, per_origin=1, initial_waiting=0)

    shown = ledger.delivery(late)
    assert (shown["status"], shown["attempts"]) == ("failed", 0)
    assert [line["code"] for line in shown["attempt_log"]] == ["origin_busy"]


def test_a_delivery_comes_back_ever_more_slowly_and_never_with_the_crowd() -> None:
    usual = [deferral_ms(times, 0.5) for times in (*range(8), 10_000)]

    assert usual == [1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3, 60e3]
    assert [deferral_ms(0, jitter) for jitter in (0.0, 0.999)] == [500, 1499]
