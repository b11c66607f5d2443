"""Batches of calls, without Redis: who gets which reply, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from service.redis.batching import Batcher, PendingCall


class Echo(Batcher):
    """Replies with each call's first argument, when it is let."""

    def __init__(self, max_in_flight: int = 1) -> None:
        super().__init__(max_in_flight)
        self.sent: list[list[Any]] = []
        self.open = asyncio.Event()

    async def say(self, word: str) -> Any:
        """Make a call."""
        return await self._submit([word])

    def _next_batch(self) -> Sequence[PendingCall]:
        return self._take(2)

    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        words = [call.args[0] for call in batch]
        self.sent.append(words)
        await self.open.wait()
        return words


async def settled() -> None:
    """Let every task of the loop get as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_calls_that_come_during_a_batch_make_up_the_next_ones() -> None:
    async def scenario() -> Echo:
        echo = Echo()
        first = asyncio.ensure_future(echo.say("a"))
        await settled()
        others = [asyncio.ensure_future(echo.say(word)) for word in "bcd"]
        await settled()
        assert echo.sent == [["a"]]
        echo.open.set()
        assert await asyncio.gather(first, *others) == ["a", "b", "c", "d"]
        return echo

    assert asyncio.run(scenario()).sent == [["a"], ["b", "c"], ["d"]]


def test_several_batches_may_be_in_flight_where_that_is_allowed() -> None:
    async def scenario() -> None:
        echo = Echo(max_in_flight=2)
        calls = []
        for word in "abc":
            calls.append(asyncio.ensure_future(echo.say(word)))
            await settled()
        assert echo.sent == [["a"], ["b"]]
        echo.open.set()
        assert await asyncio.gather(*calls) == ["a", "b", "c"]

    asyncio.run(scenario())


def test_closing_waits_for_the_batches_in_flight() -> None:
    async def scenario() -> None:
        echo = Echo()
        call = asyncio.ensure_future(echo.say("a"))
        await settled()
        closing = asyncio.ensure_future(echo.close())
        await settled()
        assert not closing.done()
        echo.open.set()
        await closing
        assert await call == "a"

    asyncio.run(scenario())


def test_a_batch_that_hangs_is_canceled_when_the_batcher_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.redis.batching.CLOSE_SECONDS", 0.05)

    async def scenario() -> None:
        echo = Echo()
        call = asyncio.ensure_future(echo.say("a"))
        await settled()
        await echo.close()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scenario())


def test_a_batcher_without_calls_closes_at_once() -> None:
    asyncio.run(Echo().close())
