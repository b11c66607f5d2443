"""The lookup service: disconnected callers, and processes that stop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis

from deploy.local.wait import until
from service.config.models import Lookups
from service.jobs.claims import Claims
from service.jobs.model import Status
from service.live.broadcaster import Broadcaster
from service.lookups.service import Found, LookupAnswer, LookupService, Pending
from service.lookups.shared_cache import LookupCache
from service.lookups.targets import LookupTarget
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.limited_ledger import limits, times_with_limits

TARGET = LookupTarget("user", "some.handle")
#: Nothing listens there.
NOWHERE = "redis://127.0.0.1:1/0"


@asynccontextmanager
async def lookup_service(url: str, stopping: asyncio.Event) -> AsyncIterator[LookupService]:
    """The lookup service of one process."""
    client = async_client(url, max_connections=3)
    broadcaster = Broadcaster(url, stopping)
    cache = LookupCache(client, times_with_limits(reader=limits()), ("reader",), 25_000)
    service = LookupService(cache, broadcaster, Lookups())
    try:
        yield service
    finally:
        await service.close()
        await broadcaster.close()
        await client.aclose()


def test_waiting_callers_are_answered_when_the_process_stops(
    store: redis.Redis, store_url: str
) -> None:
    async def scenario() -> tuple[list[Any], float]:
        stopping = asyncio.Event()
        async with lookup_service(store_url, stopping) as service:
            waiting = [asyncio.create_task(service.get(TARGET, 25, "test")) for _ in range(3)]
            deadline = time.monotonic() + 20
            while not store.exists(f"hg:flight:{TARGET}"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)
            stopping.set()
            started = time.monotonic()
            return await asyncio.gather(*waiting), time.monotonic() - started

    answers, seconds = asyncio.run(scenario())
    assert {type(answer) for answer in answers} == {Pending}
    assert seconds < 1.5


def test_a_later_caller_waits_for_its_own_time(store: redis.Redis, store_url: str) -> None:
    assert store.dbsize() == 0

    async def scenario() -> LookupAnswer:
        async with lookup_service(store_url, asyncio.Event()) as service:
            short = asyncio.create_task(service.get(TARGET, 0.2, "test"))
            await asyncio.sleep(0)  # it is the first caller
            long = asyncio.create_task(service.get(TARGET, 20, "test"))
            first = await short
            assert isinstance(first, Pending)
            await _finish_lookup(store_url, first.job_id)
            return await long

    second = asyncio.run(scenario())
    assert isinstance(second, Found)
    assert second.value.body == b"{}"


def test_a_later_caller_does_not_shorten_the_wait_of_an_earlier_one(
    store: redis.Redis, store_url: str
) -> None:
    assert store.dbsize() == 0

    async def scenario() -> LookupAnswer:
        async with lookup_service(store_url, asyncio.Event()) as service:
            long = asyncio.create_task(service.get(TARGET, 20, "test"))
            await asyncio.sleep(0)  # it is the first caller
            short = await service.get(TARGET, 0, "test")
            assert isinstance(short, Pending)
            # When the service looks again, and the lookup has not ended yet
            before = _script_runs(store)
            await asyncio.to_thread(until, lambda: _script_runs(store) > before)
            await _finish_lookup(store_url, short.job_id)
            return await long

    assert isinstance(asyncio.run(scenario()), Found)


def _script_runs(store: redis.Redis) -> int:
    """How many scripts the store has run."""
    stats: Any = store.info("commandstats")
    names = ("fcall", "fcall_ro", "evalsha", "evalsha_ro")
    return sum(stats[f"cmdstat_{name}"]["calls"] for name in names if f"cmdstat_{name}" in stats)


async def _finish_lookup(url: str, job_id: str) -> None:
    """Finish a lookup as a worker does."""
    client = async_client(url, max_connections=1)
    claims = Claims(client, times_with_limits(reader=limits()), CIPHER)
    claim = await claims.claim(job_id, "worker")
    assert claim is not None
    await claims.finish(claim, Status.SUCCEEDED, result={})
    await client.aclose()


def test_disconnected_callers_leave_no_error_behind(store_url: str, store: redis.Redis) -> None:
    assert store.dbsize() == 0
    unhandled: list[Any] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled.append(context)
        )
        async with lookup_service(NOWHERE, asyncio.Event()) as service:
            waiting = [asyncio.create_task(service.get(TARGET, 25, "test")) for _ in range(3)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            # No caller is left to receive the error of the store
            remaining = asyncio.all_tasks() - {asyncio.current_task()}
            ended, pending = await asyncio.wait(remaining, timeout=20)
            assert pending == set()
            del ended, remaining, waiting, task
        gc.collect()
        async with lookup_service(store_url, asyncio.Event()) as service:
            canceled = asyncio.create_task(service.get(TARGET, 25, "test"))
            await asyncio.sleep(0)
            canceled.cancel()
            # The next caller does not wait for it
            assert isinstance(await service.get(TARGET, 0, "test"), Pending)
        gc.collect()

    asyncio.run(scenario())
    assert unhandled == []
