"""What anybody can cause is logged at once, and then in sums."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from service.logging.summaries import LogSummaries

SECONDS = 0.05


class Lines(list[dict[str, Any]]):
    """The fields of the lines that were logged."""

    def __init__(self) -> None:
        super().__init__()
        self._grew = asyncio.Event()

    def log(self, message: str, **fields: Any) -> None:
        """Take a line."""
        assert message == "refused"
        self.append(fields)
        self._grew.set()

    async def grown(self, count: int) -> None:
        """Wait for that many lines."""
        async with asyncio.timeout(5):
            while len(self) < count:
                await self._grew.wait()
                self._grew.clear()


def logged(scenario: Callable[[LogSummaries, Lines], Coroutine[Any, Any, None]]) -> Lines:
    """The lines of a scenario."""

    async def running() -> Lines:
        lines = Lines()
        await scenario(LogSummaries(lines.log, "refused", SECONDS), lines)
        return lines

    return asyncio.run(running())


def test_the_first_is_logged_at_once_and_the_rest_in_one_line() -> None:
    async def scenario(summaries: LogSummaries, lines: Lines) -> None:
        for number in range(1000):
            summaries.add(f"10.0.0.{number % 200}", source="stripe", reason="mismatch")
        assert len(lines) == 1
        await lines.grown(2)

    assert logged(scenario) == [
        {"source": "stripe", "reason": "mismatch", "address": "10.0.0.0"},
        {"source": "stripe", "reason": "mismatch", "address": "10.0.0.199", "count": 999},
    ]


def test_each_kind_is_counted_on_its_own() -> None:
    async def scenario(summaries: LogSummaries, lines: Lines) -> None:
        for _ in range(3):
            summaries.add("10.0.0.1", reason="stale")
            summaries.add("10.0.0.2", reason="missing")
        await lines.grown(4)

    lines = logged(scenario)
    assert sorted((line["reason"], line.get("count", 0)) for line in lines) == [
        ("missing", 0),
        ("missing", 2),
        ("stale", 0),
        ("stale", 2),
    ]


def test_a_flood_is_a_line_a_minute_for_as_long_as_it_lasts() -> None:
    async def scenario(summaries: LogSummaries, lines: Lines) -> None:
        for minutes in range(3):
            summaries.add("10.0.0.1", reason="stale")
            summaries.add("10.0.0.1", reason="stale")
            await lines.grown(2 + minutes)

    assert [line.get("count") for line in logged(scenario)] == [None, 1, 2, 2]


def test_after_a_quiet_minute_the_next_is_logged_at_once() -> None:
    async def scenario(summaries: LogSummaries, lines: Lines) -> None:
        summaries.add("10.0.0.1", reason="stale")
        async with asyncio.timeout(5):
            while len(lines) < 2:
                await asyncio.sleep(SECONDS)
                summaries.add("10.0.0.2", reason="stale")

    first, second = logged(scenario)[:2]
    assert (first["address"], second["address"]) == ("10.0.0.1", "10.0.0.2")
    assert "count" not in second


def test_what_was_counted_is_logged_when_the_process_ends() -> None:
    async def scenario(summaries: LogSummaries, _lines: Lines) -> None:
        summaries.add("10.0.0.1", reason="stale")
        summaries.add("10.0.0.1", reason="stale")
        summaries.flush()
        summaries.flush()

    assert [line.get("count") for line in logged(scenario)] == [None, 1]
