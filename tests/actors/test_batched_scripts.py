"""Shared round trips, whose errors are not shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError, ResponseError

from actors.batched_scripts import MAX_BATCH, BatchedScripts
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.cancel_job import cancel_job
from service.jobs.lua.claim_job import claim_job
from service.jobs.lua.finish_job import finish_job
from service.redis.causes import NotDurable
from service.redis.client import async_client
from tests.support.ledger import TIMES

#: What claiming an unknown job replies.
NOTHING = None


def with_scripts(url: str, steps: Callable[[BatchedScripts], Awaitable[Any]]) -> Any:
    """Run steps over one connection."""

    async def run() -> Any:
        client = async_client(url, max_connections=1)
        try:
            return await steps(BatchedScripts(client, TIMES))
        finally:
            await client.aclose()

    return asyncio.run(run())


async def claim(scripts: BatchedScripts, number: int) -> Any:
    """Claim a job that is not there."""
    return await scripts.run(claim_job(f"job_{number}", "owner"))


def reads(store: redis.Redis) -> int:
    """How often the server has read from a socket, this query included."""
    read: int = store.info("stats")["total_reads_processed"]
    return read


def test_calls_of_one_loop_iteration_share_a_round_trip(store: redis.Redis, store_url: str) -> None:
    async def steps(scripts: BatchedScripts) -> tuple[int, list[Any]]:
        await claim(scripts, 0)
        before = reads(store)
        replies = await asyncio.gather(*(claim(scripts, n) for n in range(MAX_BATCH)))
        return reads(store) - before, replies

    trips, replies = with_scripts(store_url, steps)
    assert replies == [NOTHING] * MAX_BATCH
    # A long command may be read in two pieces
    assert trips <= 4


def test_an_error_reaches_only_the_call_that_caused_it(store: redis.Redis, store_url: str) -> None:
    async def steps(scripts: BatchedScripts) -> list[Any]:
        without_arguments = ScriptCall("claim_job", (), bool)
        calls = [claim(scripts, 1), scripts.run(without_arguments), claim(scripts, 2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    one, wrong, two = with_scripts(store_url, steps)
    assert one == two == NOTHING
    assert isinstance(wrong, ResponseError)


def test_scripts_that_redis_has_lost_are_loaded_again(store: redis.Redis, store_url: str) -> None:
    async def steps(scripts: BatchedScripts) -> list[Any]:
        await claim(scripts, 0)
        store.function_flush()
        return list(await asyncio.gather(claim(scripts, 1), claim(scripts, 2)))

    assert with_scripts(store_url, steps) == [NOTHING, NOTHING]


def test_a_canceled_call_leaves_the_others_their_replies(
    store: redis.Redis, store_url: str
) -> None:
    async def steps(scripts: BatchedScripts) -> list[Any]:
        calls = [asyncio.ensure_future(claim(scripts, n)) for n in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        return list(await asyncio.gather(calls[0], calls[2]))

    assert with_scripts(store_url, steps) == [NOTHING, NOTHING]


def test_every_call_fails_while_redis_is_unreachable() -> None:
    async def steps(scripts: BatchedScripts) -> None:
        for _ in range(2):
            calls = [claim(scripts, n) for n in range(3)]
            replies = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(reply, RedisError) for reply in replies)

    with_scripts("redis://127.0.0.1:1/0", steps)


@pytest.mark.parametrize("count", [1, MAX_BATCH + 1])
def test_every_call_gets_a_reply(store: redis.Redis, store_url: str, count: int) -> None:
    async def steps(scripts: BatchedScripts) -> int:
        async with asyncio.timeout(10):
            return len(await asyncio.gather(*(claim(scripts, n) for n in range(count))))

    assert with_scripts(store_url, steps) == count


def waits(store: redis.Redis) -> int:
    """How often the server was told to wait for a replica."""
    statistics: Any = store.info("commandstats")
    return int(statistics.get("cmdstat_wait", {}).get("calls", 0))


@pytest.mark.parametrize("known", [True, False], ids=["known", "to be loaded"])
def test_a_batch_waits_once_and_only_its_promises_fail(
    store: redis.Redis, store_url: str, known: bool
) -> None:
    async def run() -> list[Any]:
        client = async_client(store_url, max_connections=1)
        scripts = BatchedScripts(client, replace(TIMES, durability="replica"))
        try:
            await claim(scripts, 0)
            if not known:
                store.function_flush()
            before = waits(store)
            promises = [scripts.run(cancel_job(f"job_{n}", "ann")) for n in range(3)]
            fact = scripts.run(finish_job("job_0", "o", 1, "failed", "", "{}", "", "", 0, "", ""))
            calls = (claim(scripts, 1), *promises, fact)
            replies = await asyncio.gather(*calls, return_exceptions=True)
            return [waits(store) - before, *replies]
        finally:
            await client.aclose()

    # Given a store without a replica, when calls of all kinds share a round trip
    count, claimed, *canceled, finished = asyncio.run(run())
    # Then it has waited once, and only what its caller would rely on fails
    assert count == 1 or not known
    assert claimed is NOTHING
    assert all(isinstance(reply, NotDurable) for reply in canceled)
    assert finished == "lost"
    assert store.hget("hg:counters", "not_durable:cancel_job") == b"3"
