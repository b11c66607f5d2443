"""Which attempts get a slot, which may wait for one, and which are rejected."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from actors.egress.origin_limiter import OriginBusy, OriginLimiter
from tests.support.callback_client import Run


def origin(number: int) -> str:
    return f"https://{number}.example"


def test_a_full_worker_still_has_a_slot_for_each_origin_without_one() -> None:
    async def steps() -> None:
        limiter = OriginLimiter(4, initial_waiting=28, wait_seconds=30, max_users=8)
        async with AsyncExitStack() as slots:
            # Given two origins that occupy all slots
            for number in (0, 1) * 4:
                await slots.enter_async_context(limiter.slot(origin(number)))
            # Then none may wait for them
            for number in (0, 1):
                with pytest.raises(OriginBusy):
                    await slots.enter_async_context(limiter.slot(origin(number)))
            # And each other origin gets one
            for number in range(2, 12):
                await slots.enter_async_context(limiter.slot(origin(number)))
                with pytest.raises(OriginBusy):
                    await slots.enter_async_context(limiter.slot(origin(number)))

    asyncio.run(steps())


def test_freed_slots_are_given_again() -> None:
    async def steps() -> None:
        limiter = OriginLimiter(4, initial_waiting=28, wait_seconds=30, max_users=2)
        for _ in range(3):
            async with limiter.slot(origin(0)), limiter.slot(origin(0)):
                with pytest.raises(OriginBusy):
                    async with limiter.slot(origin(0)):
                        pass
        assert len(limiter) == 0

    asyncio.run(steps())


def test_as_many_may_wait_as_the_origin_serves_in_time(run: Run) -> None:
    async def scenario() -> None:
        limiter = OriginLimiter(2, initial_waiting=1, wait_seconds=30, max_users=100)
        async with limiter.slot("https://a.example"):
            async with limiter.slot("https://a.example"):
                assert await _rejected(limiter, 5) == 4
            # It was fast, so all of them may wait.
            assert await _rejected(limiter, 50) == 0

    run(scenario())


def test_after_a_wait_in_vain_none_may_wait_until_an_exchange_ends(run: Run) -> None:
    async def scenario() -> None:
        limiter = OriginLimiter(1, initial_waiting=50, wait_seconds=0.02, max_users=100)
        async with limiter.slot("https://a.example"):
            with pytest.raises(OriginBusy):
                async with limiter.slot("https://a.example"):
                    pass
            assert await _rejected(limiter, 9) == 9
        assert len(limiter) == 0

    run(scenario())


async def _rejected(limiter: OriginLimiter, count: int) -> int:
    """How many of so many new attempts are rejected at once."""
    attempts = [
        asyncio.create_task(limiter.slot("https://a.example").__aenter__()) for _ in range(count)
    ]
    await asyncio.sleep(0)
    rejected = sum(task.done() and isinstance(task.exception(), OriginBusy) for task in attempts)
    for task in attempts:
        task.cancel()
    await asyncio.gather(*attempts, return_exceptions=True)
    return rejected


def test_unused_origins_are_forgotten(run: Run) -> None:
    async def scenario() -> None:
        limiter = OriginLimiter(1, initial_waiting=1, wait_seconds=30, max_users=100)
        async with limiter.slot("https://a.example"):
            waiting = asyncio.create_task(limiter.slot("https://a.example").__aenter__())
            await asyncio.sleep(0)
            assert len(limiter) == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            async with limiter.slot("https://b.example"):
                assert len(limiter) == 2
        assert len(limiter) == 0

    run(scenario())
