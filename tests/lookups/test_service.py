"""Asking: flights that nobody waits for any more, and processes that end."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis

from service.config.models import Lookups
from service.jobs.claims import Claims
from service.jobs.model import Status
from service.live.broadcaster import Broadcaster
from service.lookups.service import Found, LookupAnswer, LookupService, Pending
from service.lookups.shared_cache import LookupCache
from service.lookups.targets import LookupTarget
from service.redis.client import async_client
from tests.support.limited_ledger import limits, times_with_limits

TARGET = LookupTarget("user", "some.handle")
#: Nothing listens there.
NOWHERE = "redis://127.0.0.1:1/0"


@asynccontextmanager
async def asking(url: str, stopping: asyncio.Event) -> AsyncIterator[LookupService]:
    """One process' way to ask."""
    client = async_client(url, max_connections=3)
    live = Broadcaster(url, stopping)
    sights = LookupCache(client, times_with_limits(eyes=limits()), ("eyes",), 25_000)
    made = LookupService(sights, live, Lookups())
    try:
        yield made
    finally:
        await made.close()
        await live.close()
        await client.aclose()


def test_who_waits_is_told_at_once_that_the_process_ends(
    store: redis.Redis, store_url: str
) -> None:
    async def story() -> tuple[list[Any], float]:
        stopping = asyncio.Event()
        async with asking(store_url, stopping) as made:
            waiting = [asyncio.create_task(made.get(TARGET, 25, "test")) for _ in range(3)]
            deadline = time.monotonic() + 20
            while not store.exists(f"hg:flight:{TARGET}"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)
            stopping.set()
            began = time.monotonic()
            return await asyncio.gather(*waiting), time.monotonic() - began

    told, seconds = asyncio.run(story())
    assert {type(each) for each in told} == {Pending}
    assert seconds < 1.5


def test_who_comes_later_waits_for_as_long_as_he_wants_to(
    store: redis.Redis, store_url: str
) -> None:
    assert store.dbsize() == 0

    async def story() -> LookupAnswer:
        async with asking(store_url, asyncio.Event()) as made:
            short = asyncio.create_task(made.get(TARGET, 0.2, "test"))
            await asyncio.sleep(0)  # it asks first
            long = asyncio.create_task(made.get(TARGET, 20, "test"))
            first = await short
            assert isinstance(first, Pending)
            await _found(store_url, first.job_id)
            return await long

    second = asyncio.run(story())
    assert isinstance(second, Found)
    assert second.value.body == b"{}"


async def _found(url: str, job_id: str) -> None:
    """End a look-up as a worker does."""
    client = async_client(url, max_connections=1)
    claims = Claims(client, times_with_limits(eyes=limits()))
    claim = await claims.claim(job_id, "worker")
    assert claim is not None
    await claims.finish(claim, Status.SUCCEEDED, result={})
    await client.aclose()


def test_who_goes_away_leaves_nothing_behind(store_url: str, store: redis.Redis) -> None:
    assert store.dbsize() == 0
    unheard: list[Any] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        async with asking(NOWHERE, asyncio.Event()) as made:
            waiting = [asyncio.create_task(made.get(TARGET, 25, "test")) for _ in range(3)]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            # Nobody is left to hear that the store does not answer
            left = asyncio.all_tasks() - {asyncio.current_task()}
            ended, late = await asyncio.wait(left, timeout=20)
            assert late == set()
            del ended, left, waiting, each
        gc.collect()
        async with asking(store_url, asyncio.Event()) as made:
            gone = asyncio.create_task(made.get(TARGET, 25, "test"))
            await asyncio.sleep(0)
            gone.cancel()
            # Whoever asks next is not held up by it
            assert isinstance(await made.get(TARGET, 0, "test"), Pending)
        gc.collect()

    asyncio.run(story())
    assert unheard == []
