"""The cost of the ledger's operations, in Redis commands and round trips instead of time."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from service.jobs.account_effect import AccountEffect
from service.jobs.job_filter import JobFilter
from service.jobs.model import Status
from service.metrics.prometheus import Metrics
from tests.support.ledger import DAY, HOUR, TIMES, Event, LedgerHarness, draft, open_ledger

SMALL, LARGE = 100, 5_000
COOL_COMMENTS = AccountEffect(cooldown="slow_down", kind="comment", cooldown_ms=DAY)


class CommandLog:
    """The commands that a store has run, from MONITOR.

    Parameters:
      monitor: The open monitor.
      store: Another connection, to send marks.
    """

    def __init__(self, monitor: Any, store: redis.Redis) -> None:
        self._monitor = monitor
        self._store = store
        self._database = store.get_connection_kwargs().get("db", 0)

    def rewind(self) -> None:
        """Skip the commands run so far."""
        list(self._until_mark())

    def trips(self) -> list[str]:
        """The commands that clients have sent since the last call."""
        return [name for name, inside in self._until_mark() if not inside]

    def commands(self) -> Counter[str]:
        """How often each command was run since the last call, inside scripts too."""
        return Counter(name for name, _ in self._until_mark())

    def _until_mark(self) -> Iterator[tuple[str, bool]]:
        mark = uuid.uuid4().hex
        self._store.echo(mark)
        while True:
            command = self._monitor.next_command()
            if mark in command["command"]:
                return
            if command["db"] == self._database:
                yield command["command"].split()[0].upper(), command["client_type"] == "lua"


@pytest.fixture
def command_log(ledger: LedgerHarness, store_url: str) -> Iterator[CommandLog]:
    with _log_commands(store_url) as command_log:
        yield command_log


@contextmanager
def _log_commands(url: str) -> Iterator[CommandLog]:
    with redis.Redis.from_url(url) as store, store.monitor() as monitor:
        yield CommandLog(monitor, store)


def test_a_whole_job_is_three_round_trips(ledger: LedgerHarness, command_log: CommandLog) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))  # the scripts are loaded now
    job_id = ledger.add_job()
    command_log.rewind()

    claim = ledger.claim(job_id)
    ledger.record_intent(claim)
    ledger.finish(claim)

    assert command_log.trips() == ["FCALL"] * 3


def test_an_event_with_many_jobs_is_one_round_trip(
    ledger: LedgerHarness, command_log: CommandLog
) -> None:
    ledger.accept(Event("evt_before"))
    command_log.rewind()

    ledger.accept(Event("evt_1"), *(draft(rule=f"rule-{number}") for number in range(20)))
    ledger.accept(Event("evt_1"))

    assert command_log.trips() == ["FCALL"] * 2


def test_a_heartbeat_is_one_round_trip_whatever_is_claimed(
    ledger: LedgerHarness, command_log: CommandLog
) -> None:
    claims = [ledger.claim(ledger.add_job(account=f"account-{number}")) for number in range(30)]
    ledger.heartbeat()
    command_log.rewind()

    ledger.heartbeat(*claims)

    assert command_log.trips() == ["FCALL"]


def test_a_page_of_jobs_is_two_round_trips_and_a_third_for_waiting_ones(
    ledger: LedgerHarness, command_log: CommandLog
) -> None:
    ledger.add_jobs(30, account="studio", delay_ms=HOUR)
    ledger.run(ledger.finder.page(JobFilter(account="studio"), cursor=None, limit=20))
    command_log.rewind()
    ledger.run(ledger.finder.page(JobFilter(account="studio"), cursor=None, limit=20))
    assert command_log.trips() == ["FCALL", *20 * ["HGETALL"]]

    holder, waiter = ledger.claim(ledger.add_job()), ledger.add_job()
    ledger.api_job(waiter)  # the script is loaded now
    command_log.rewind()
    ledger.run(ledger.finder.page(JobFilter(account="shop"), cursor=None, limit=20))
    assert command_log.trips() == ["FCALL", "HGETALL", "HGETALL", "FCALL"]
    assert ledger.finish(holder)


def test_a_metrics_scrape_is_one_round_trip_for_any_ledger(
    ledger: LedgerHarness, command_log: CommandLog
) -> None:
    metrics = Metrics(ledger.client, TIMES, ["measured", "other"])

    def scraped() -> Counter[str]:
        command_log.rewind()
        ledger.run(metrics.text())
        return command_log.commands()

    # Given one claimed job, and one that waits for its turn
    for _ in range(2):
        ledger.add_job(account="measured", kind="comment", post="Cx")
    ledger.claim(ledger.take_messages()[0])
    ledger.run(metrics.text())  # the script is loaded now
    few = scraped()
    # When there are many more jobs
    ledger.add_jobs(500, account="measured", kind="comment", post="Cx")
    # Then no more commands are run
    assert scraped() == few
    command_log.rewind()
    ledger.run(metrics.text())
    assert command_log.trips() == ["FCALL"]


def _fill(ledger: LedgerHarness, count: int) -> None:
    """Add jobs: half in one account's queue, the newer half on separate accounts."""
    ledger.add_jobs(count // 2, account="measured", kind="comment", post="Cx")
    ledger.add_jobs(count // 2, apart=True)


def _measure_steps(ledger: LedgerHarness, command_log: CommandLog) -> dict[str, Counter[str]]:
    """The commands of each step of a job, with other jobs in its account queue."""
    costs: dict[str, Counter[str]] = {}

    def count(name: str, step: Callable[[], Any]) -> Any:
        command_log.rewind()
        result = step()
        costs[name] = command_log.commands()
        return result

    def listed(job_filter: JobFilter) -> Any:
        return ledger.run(ledger.finder.page(job_filter, cursor=None, limit=50))

    job_id = count("accept", lambda: ledger.add_job(account="measured"))
    ledger.take_messages()
    claim = count("claim", lambda: ledger.claim(job_id))
    waiter = count("queue", lambda: ledger.add_job(account="measured"))
    count("read queued", lambda: ledger.api_job(waiter))
    count("intent", lambda: ledger.record_intent(claim))
    count("heartbeat", lambda: ledger.heartbeat(claim))
    count("finish", lambda: ledger.finish(claim))
    count("release", lambda: ledger.release(ledger.claim(waiter), Status.WAITING, after_ms=1000))
    count("cancel", lambda: ledger.run(ledger.core.cancel(waiter, "api:test")))
    count("read", lambda: ledger.run(ledger.queries.job(job_id)))
    count("list", lambda: listed(JobFilter()))
    count("list queued", lambda: listed(JobFilter((Status.WAITING,))))
    return costs


def test_no_step_costs_more_with_thousands_of_jobs(store: redis.Redis, store_url: str) -> None:
    # With a long lease no wake-up is repeated while the jobs are added, however slow the machine.
    with open_ledger(store_url, replace(TIMES, lease=HOUR)) as ledger:
        # Given an account whose comments are in cooldown, so that its queue does not change
        comment = ledger.claim(ledger.add_job(account="measured", kind="comment", post="Cx"))
        ledger.release(comment, Status.WAITING, effect=COOL_COMMENTS)
        _fill(ledger, SMALL)
        with _log_commands(store_url) as command_log:
            _measure_steps(ledger, command_log)  # loads the scripts
            few = _measure_steps(ledger, command_log)
        # When there are fifty times as many jobs, in the queue and elsewhere
        _fill(ledger, LARGE - SMALL)
        with _log_commands(store_url) as command_log:
            many = _measure_steps(ledger, command_log)

    # Then no step runs more commands
    assert store.zcard("hg:jobs") >= LARGE
    assert store.zcard("hg:acct:measured:line:comment") > LARGE // 2
    assert many == few
    assert max(sum(few[name].values()) for name in few if not name.startswith("list")) < 62
