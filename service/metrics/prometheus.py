"""The Prometheus page: the ledger's own numbers and those that each process reports.

One script reads them all, so a scrape is one round trip whose cost grows with the number of
accounts, not of jobs. docs/metrics.md lists the metrics.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
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

from service.accounts.controls import AccountStatus, account_status
from service.jobs.actor_routes import QUEUES
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.collect_metrics import collect_metrics
from service.jobs.lua.runner import Scripts
from service.jobs.stored_names import COUNTED_OUTCOMES, INDEXES, SUB_QUEUES, public_name
from service.metrics.event_loop_watchdog import BOUNDS
from service.metrics.process_reports import Tier

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

#: The first word of the names in hg:counters, then the metric's name, labels and help text.
_COUNTERS: Final = (
    ("event", "events", ("source", "outcome"), "Webhooks by outcome"),
    ("end", "jobs_ended", ("kind", "status"), "Jobs that reached a final state"),
    ("claim", "claims", ("work", "outcome"), "Wake-ups by outcome of the claim"),
    ("connection", "connections_closed", ("reason",), "Connections closed early by reason"),
    ("request_refused", "requests_refused", ("reason",), "Requests refused unread by reason"),
    ("authentication_failed", "authentication_failures", ("reason",), "Requests without a key"),
    ("not_durable", "changes_not_durable", ("step",), "Changes not confirmed in time by step"),
    ("history_lost", "history_losses", ("cause",), "Losses of the store's history"),
    ("history_lookup", "history_lookups", ("kind",), "Writes looked for after lost history"),
    ("clock_step", "clock_steps", ("direction",), "Steps of the store's clock"),
    ("attempt", "attempts", ("kind", "outcome"), "Attempts at jobs and callbacks by outcome"),
)

#: What collect_metrics.lua replies.
Stats = Mapping[str, Any]
#: Label values and the number.
Row = tuple[tuple[str, ...], float]


class Metrics:
    """Collects the numbers and renders the page.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
      accounts: Names of the configured accounts.
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
        reply = await self._scripts.run(collect_metrics(" ".join(QUEUES), *self._accounts))
        # In a thread: a hundred accounts make thousands of lines, which would block the loop.
        return await asyncio.to_thread(_render, reply)


def _render(reply: bytes) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatsCollector(json.loads(reply)))
    return generate_latest(registry)


class _StatsCollector(Collector):
    """One scrape's numbers as prometheus_client's metrics."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        yield from _counters(self._stats)
        yield from _job_gauges(self._stats)
        yield from _account_gauges(self._stats)
        yield from _process_metrics(self._stats)


def _counters(stats: Stats) -> Iterator[Metric]:
    for word, name, labels, text in _COUNTERS:
        family = CounterMetricFamily(f"heliograph_{name}", text, labels=labels)
        for values, count in _counter_rows(stats, word):
            # Another release may count with more labels.
            if len(values) == len(labels):
                family.add_metric(values, count)
        yield family


def _counter_rows(stats: Stats, word: str) -> Iterable[Row]:
    """The counters of that first word; those whose stored names have one public name are added."""
    outcomes = COUNTED_OUTCOMES.get(word, {})
    totals: Counter[tuple[str, ...]] = Counter()
    for name, count in stats["counters"].items():
        head, *labels = name.split(":")
        if head == word and labels:
            labels[-1] = public_name(outcomes, labels[-1])
            totals[tuple(labels)] += int(count)
    return sorted(totals.items())


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"heliograph_{name}", text, labels=labels)
    for values, number in sorted(rows):
        family.add_metric(values, number)
    return family


def _rows_by_name(numbers: Mapping[str, float]) -> Iterator[Row]:
    return (((name,), number) for name, number in numbers.items())


def _job_gauges(stats: Stats) -> Iterator[Metric]:
    yield _gauge("jobs", "Jobs by status", ("status",), _rows_by_name(stats["jobs"]))
    yield _gauge("jobs_by_kind", "Jobs by kind", ("kind",), _rows_by_name(stats["kinds"]))
    yield _gauge(
        "deliveries", "Callbacks by status", ("status",), _rows_by_name(stats["deliveries"])
    )
    queues = stats["queues"].items()
    depths = (((name,), queue["depth"]) for name, queue in queues)
    yield _gauge("queue_messages", "Messages that no worker has fetched", ("queue",), depths)
    ages = (((name,), queue["oldest"] / 1000) for name, queue in queues)
    yield _gauge("queue_oldest_seconds", "Age of the first message", ("queue",), ages)
    lags = (((public_name(INDEXES, index),), ms / 1000) for index, ms in stats["lags"].items())
    yield _gauge("due_lag_seconds", "How long the first due entry is overdue", ("index",), lags)


def _account_gauges(stats: Stats) -> Iterator[Metric]:
    accounts = stats["accounts"].items()
    text = "1 for the account's current status"
    yield _gauge("account_status", text, ("account", "status"), _status_rows(stats))
    waiting = _waiting_rows(accounts, "sub_queues", SUB_QUEUES)
    labels: tuple[str, ...] = ("account", "queue", "reason")
    yield _gauge("jobs_waiting", "Jobs in an account's queue", labels, waiting)
    held = _waiting_rows(accounts, "held", {})
    text = "Jobs that wait for a person"
    yield _gauge("jobs_held", text, ("account", "kind", "reason"), held)
    for figure, text in (("used", "Actions used"), ("limit", "Actions allowed")):
        labels = ("account", "limit", "window")
        yield _gauge(
            f"budget_{figure}", f"{text} in the window", labels, _budget_rows(accounts, figure)
        )


def _status_rows(stats: Stats) -> Iterator[Row]:
    for name, account in stats["accounts"].items():
        now = account_status(account["fields"], all_paused=stats["paused"], now_ms=stats["now"])
        for status in get_args(AccountStatus):
            yield (name, status), float(status == now)


def _waiting_rows(
    accounts: Iterable[tuple[str, Stats]], group: str, names: Mapping[str, str]
) -> Iterator[Row]:
    for name, account in accounts:
        for queue_or_kind, row in account[group].items():
            yield (name, public_name(names, queue_or_kind), row["why"]), row["n"]


def _budget_rows(accounts: Iterable[tuple[str, Stats]], figure: str) -> Iterator[Row]:
    for name, account in accounts:
        for limit, windows in account["budgets"].items():
            for window, row in windows.items():
                yield (name, limit, window), row[figure]


def _process_metrics(stats: Stats) -> Iterator[Metric]:
    reports = stats["processes"].values()
    for name, text, aggregate in (
        ("processes", "Processes that reported within a minute", len),
        ("loop_lag_peak_seconds", "Longest event loop lag within a minute", _peak),
    ):
        by_tier = {tier: [row for row in reports if row["tier"] == tier] for tier in get_args(Tier)}
        rows = (((tier,), aggregate(rows)) for tier, rows in by_tier.items())
        yield _gauge(name, text, ("tier",), rows)
    for name, field, text in (
        ("connections", "connections", "Open connections of the web processes"),
        ("connections_limit", "connection_limit", "How many connections they may have open"),
    ):
        yield _gauge(name, text, (), [((), sum(int(row.get(field, "0")) for row in reports))])
    subscribers = sum(int(row.get("listeners", "0")) for row in reports)
    yield _gauge(
        "live_subscribers",
        "Live subscribers, and requests that wait for a job",
        (),
        [((), subscribers)],
    )
    yield _loop_lag_histogram(stats)


def _peak(rows: list[Mapping[str, str]]) -> float:
    return max((int(row["peak_us"]) / 1_000_000 for row in rows), default=0.0)


def _loop_lag_histogram(stats: Stats) -> Metric:
    text = "Event loop lag, sampled at random moments"
    family = HistogramMetricFamily("heliograph_loop_lag_seconds", text, labels=("tier",))
    counts = dict(_counter_rows(stats, "lag"))
    for tier in get_args(Tier):
        total, buckets = 0.0, []
        for bound in BOUNDS:
            total += counts.get((tier, f"{bound:g}"), 0)
            buckets.append(("+Inf" if bound == BOUNDS[-1] else f"{bound:g}", total))
        family.add_metric((tier,), buckets, counts.get((tier, "total_us"), 0) / 1_000_000)
    return family
