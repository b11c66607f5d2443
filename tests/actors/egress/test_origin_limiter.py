"""Who gets a place when so many origins are slow that the worker is full."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from actors.egress.origin_limiter import OriginBusy, OriginLimiter


def origin(number: int) -> str:
    return f"https://{number}.example"


def test_when_all_is_full_an_origin_that_has_nothing_under_way_still_gets_a_place() -> None:
    async def steps() -> None:
        lanes = OriginLimiter(4, initial_waiting=28, wait_seconds=30, max_users=8)
        async with AsyncExitStack() as places:
            # Given two origins that have all places
            for number in (0, 1) * 4:
                await places.enter_async_context(lanes.slot(origin(number)))
            # Then nobody waits for them
            for number in (0, 1):
                with pytest.raises(OriginBusy):
                    await places.enter_async_context(lanes.slot(origin(number)))
            # And others get one each
            for number in range(2, 12):
                await places.enter_async_context(lanes.slot(origin(number)))
                with pytest.raises(OriginBusy):
                    await places.enter_async_context(lanes.slot(origin(number)))

    asyncio.run(steps())


def test_places_that_came_free_are_given_again() -> None:
    async def steps() -> None:
        lanes = OriginLimiter(4, initial_waiting=28, wait_seconds=30, max_users=2)
        for _ in range(3):
            async with lanes.slot(origin(0)), lanes.slot(origin(0)):
                with pytest.raises(OriginBusy):
                    async with lanes.slot(origin(0)):
                        pass
        assert len(lanes) == 0

    asyncio.run(steps())
