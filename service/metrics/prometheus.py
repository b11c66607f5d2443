"""What Prometheus is told: the ledger's own numbers and those that every process reports.

One script reads it all, so that a scrape is one round trip whose cost grows with the accounts and
not with the jobs. docs/metrics.md lists the families.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

import redis.asyncio as aredis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from service.accounts.controls import AccountStatus, status_of
from service.jobs.actor_routes import QUEUES
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.collect_metrics import collect_metrics
from service.jobs.lua.runner import Scripts
from service.metrics.event_loop_watchdog import BOUNDS
from service.metrics.process_reports import Tier

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

#: What is counted: its first word in hg:counters, its family, its labels and its help.
_COUNTED: Final = (
    ("event", "events", ("source", "outcome"), "Webhooks by what became of them"),
    ("end", "jobs_ended", ("kind", "status"), "Jobs that reached a final state"),
    ("claim", "claims", ("work", "outcome"), "Wake-ups by what the claim gave"),
    ("attempt", "attempts", ("kind", "outcome"), "Attempts at jobs and callbacks by their end"),
)

Seen = Mapping[str, Any]
Row = tuple[tuple[str, ...], float]


class Metrics:
    """Gathers the numbers.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
      accounts: Names of the accounts to tell of.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, accounts: Iterable[str]
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._accounts = tuple(accounts)

    async def text(self) -> bytes:
        """All numbers in Prometheus' text format.

        Raises:
          redis.RedisError: Redis does not answer.
        """
        told = await self._scripts.run(collect_metrics(" ".join(QUEUES), *self._accounts))
        # In a thread: a hundred accounts are thousands of lines, and the loop has others to serve.
        return await asyncio.to_thread(_rendered, told)


def _rendered(told: bytes) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gathered(json.loads(told)))
    return generate_latest(registry)


class _Gathered(Collector):
    """One scrape's numbers, as the client library asks for them."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield from _counters(self._seen)
        yield from _work(self._seen)
        yield from _accounts(self._seen)
        yield from _processes(self._seen)

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead of time: the families are the same in every scrape."""
        return iter(())


def _counters(seen: Seen) -> Iterator[Metric]:
    for word, name, labels, text in _COUNTED:
        family = CounterMetricFamily(f"heliograph_{name}", text, labels=labels)
        for values, count in _counted(seen, word):
            # A newer release may count more finely.
            if len(values) == len(labels):
                family.add_metric(values, count)
        yield family


def _counted(seen: Seen, word: str) -> Iterator[Row]:
    for name, count in sorted(seen["counters"].items()):
        head, *values = name.split(":")
        if head == word:
            yield tuple(values), float(count)


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"heliograph_{name}", text, labels=labels)
    for values, number in sorted(rows):
        family.add_metric(values, number)
    return family


def _sizes(found: Mapping[str, float]) -> Iterator[Row]:
    return (((name,), number) for name, number in found.items())


def _work(seen: Seen) -> Iterator[Metric]:
    yield _gauge("jobs", "Jobs by status", ("status",), _sizes(seen["jobs"]))
    yield _gauge("jobs_by_kind", "Jobs by kind", ("kind",), _sizes(seen["kinds"]))
    yield _gauge("deliveries", "Callbacks by status", ("status",), _sizes(seen["deliveries"]))
    queues = seen["queues"].items()
    depths = (((name,), queue["depth"]) for name, queue in queues)
    yield _gauge("queue_messages", "Messages nobody has fetched", ("queue",), depths)
    ages = (((name,), queue["oldest"] / 1000) for name, queue in queues)
    yield _gauge("queue_oldest_seconds", "How long the first of them waits", ("queue",), ages)
    lags = (((index,), ms / 1000) for index, ms in seen["lags"].items())
    yield _gauge("due_lag_seconds", "For how long what is due was not done", ("index",), lags)


def _accounts(seen: Seen) -> Iterator[Metric]:
    accounts = seen["accounts"].items()
    text = "1 for what the account is now"
    yield _gauge("account_status", text, ("account", "status"), _statuses(seen))
    lines = _waiting(accounts, "sub_queues")
    yield _gauge("jobs_in_line", "Jobs in an account's line", ("account", "lane", "reason"), lines)
    held = _waiting(accounts, "held")
    text = "Jobs that wait for a person"
    yield _gauge("jobs_held", text, ("account", "kind", "reason"), held)
    for which, text in (("used", "Actions charged"), ("limit", "Actions allowed")):
        labels = ("account", "pace", "window")
        yield _gauge(f"budget_{which}", f"{text} in the window", labels, _budgets(accounts, which))


def _statuses(seen: Seen) -> Iterator[Row]:
    for name, account in seen["accounts"].items():
        now = status_of(account["fields"], everything=seen["paused"], now_ms=seen["now"])
        for status in get_args(AccountStatus):
            yield (name, status), float(status == now)


def _waiting(accounts: Iterable[tuple[str, Seen]], where: str) -> Iterator[Row]:
    for name, account in accounts:
        for what, row in account[where].items():
            yield (name, what, row["why"]), row["n"]


def _budgets(accounts: Iterable[tuple[str, Seen]], which: str) -> Iterator[Row]:
    for name, account in accounts:
        for pace, windows in account["budgets"].items():
            for window, row in windows.items():
                yield (name, pace, window), row[which]


def _processes(seen: Seen) -> Iterator[Metric]:
    reports = seen["processes"].values()
    for name, text, of in (
        ("processes", "Processes that reported within a minute", len),
        ("loop_lag_peak_seconds", "The longest a loop was late in a minute", _peak),
    ):
        found = {tier: [row for row in reports if row["tier"] == tier] for tier in get_args(Tier)}
        rows = (((tier,), of(rows)) for tier, rows in found.items())
        yield _gauge(name, text, ("tier",), rows)
    listeners = sum(int(row.get("listeners", "0")) for row in reports)
    yield _gauge("live_listeners", "Who listens live, or waits for a job", (), [((), listeners)])
    yield _loop_lag(seen)


def _peak(rows: list[Mapping[str, str]]) -> float:
    return max((int(row["peak_us"]) / 1_000_000 for row in rows), default=0.0)


def _loop_lag(seen: Seen) -> Metric:
    text = "How late event loops answered, asked at random moments"
    family = HistogramMetricFamily("heliograph_loop_lag_seconds", text, labels=("tier",))
    counts = dict(_counted(seen, "lag"))
    for tier in get_args(Tier):
        total, buckets = 0.0, []
        for bound in BOUNDS:
            total += counts.get((tier, f"{bound:g}"), 0)
            buckets.append(("+Inf" if bound == BOUNDS[-1] else f"{bound:g}", total))
        family.add_metric((tier,), buckets, counts.get((tier, "total_us"), 0) / 1_000_000)
    return family
