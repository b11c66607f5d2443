"""What the counters of ends cost: the steps that count, with and without; and reading a year."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import redis

from service.jobs.lua import builder
from service.jobs.lua.builder import ScriptConfig, script_library
from service.redis.client import async_client
from service.stats.period import MAX_DAYS, Period
from service.stats.reader import StatsReader
from service.stats.summary import summarize
from tests.bench.probes import RESTLESS, Probe
from tests.bench.store import bench_server
from tests.bench.table import Goal, Row, median, ratio
from tests.bench.typical_dm import opened_shop

#: Pairs of servers, and rounds on each pair: after those the accounts' budgets are used up.
PAIRS, ROUNDS, JOBS = 3, 14, 24
#: Twice what it is: the medians of equal scripts on two servers differ by up to 0.05.
MAX_RATIO: Final = 1.08
#: Counters of each hour of a year that is read.
PER_HOUR: Final = 20
END: Final = 500_000
_COUNTING: Final = "function stats.count"


def measure(_directory: Path) -> Sequence[Row]:
    """Measure the steps on two servers in turns, then a year of counters."""
    counted: dict[str, list[float]] = {"finish": [], "callback": []}
    plain: dict[str, list[float]] = {"finish": [], "callback": []}
    for _ in range(PAIRS):
        with _probe(RESTLESS) as with_counters, _probe(_without_counters()) as without:
            for number in range(ROUNDS):
                pair = (with_counters, without) if number % 2 else (without, with_counters)
                for probe in pair:
                    probe.life(JOBS)
            for name in counted:
                counted[name] += with_counters.server[name]
                plain[name] += without.server[name]
    return [_steps_row(counted, plain), _year_row()]


def _steps_row(counted: dict[str, list[float]], plain: dict[str, list[float]]) -> Row:
    figures = {
        f"{name}{what}": round(median(found[name]), 1)
        for name in counted
        for what, found in (("", counted), (" without counters", plain))
    }
    ratios = [ratio(*pair) for pair in zip(counted["finish"], plain["finish"], strict=True)]
    goal = Goal("finish: with / without counters", median(ratios), "<=", MAX_RATIO)
    rounds = PAIRS * ROUNDS
    how = f"Redis' own time; medians of {rounds} rounds of {JOBS} jobs on two servers in turns"
    return Row("Counters of what ended", how, figures, "us", [goal])


def _year_row() -> Row:
    with bench_server() as url, redis.Redis.from_url(url) as store:
        before = store.info("memory")["used_memory"]
        _fill(store)
        megabytes = (store.info("memory")["used_memory"] - before) / 1e6
        figures = {
            f"{days} days": round(1000 * asyncio.run(_seconds(url, days)), 1)
            for days in (7, 30, MAX_DAYS)
        }
    how = f"{PER_HOUR} counters in each hour, {megabytes:.1f} MB in all; read and added up, ms"
    return Row("Numbers of a period", how, figures, "ms", [])


def _fill(store: redis.Redis) -> None:
    counters: dict[Any, Any] = {
        f"job:shop:rule-{n}:dm:succeeded:{n % 19}": 3 for n in range(PER_HOUR)
    }
    with store.pipeline(transaction=False) as pipe:
        for hour in range(END - 24 * MAX_DAYS, END):
            pipe.hset(f"hg:stats:{hour}", mapping=counters)
        pipe.execute()


async def _seconds(url: str, days: int) -> float:
    client = async_client(url, max_connections=2)
    began = time.perf_counter()
    (await summarize(StatsReader(client), Period(END - 24 * days, END))).public("rule")
    spent = time.perf_counter() - began
    await client.aclose()
    return spent


def _without_counters() -> ScriptConfig:
    """A configuration whose library counts no ends."""
    config = replace(RESTLESS, keep=RESTLESS.keep + 1)
    files = dict(builder._lua_files("lib"))
    bodies = builder._lua_files("")
    files["stats"] = _without_counting(files["stats"])
    with patch.object(builder, "_lua_files", lambda folder: files if folder else bodies):
        script_library(config)  # made once for each configuration
    return config


def _without_counting(text: str) -> str:
    """The library with functions that return at once."""
    assert _COUNTING in text
    lines = text.splitlines()
    return "\n".join(
        f"{line} if true then return end" if line.startswith(_COUNTING) else line for line in lines
    )


@contextmanager
def _probe(config: ScriptConfig) -> Iterator[Probe]:
    with (
        bench_server() as url,
        opened_shop(url, config) as (shop, runner),
        redis.Redis.from_url(url) as store,
    ):
        yield Probe(shop, store, runner)
