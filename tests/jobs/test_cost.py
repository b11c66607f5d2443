"""What the ledger costs, counted in Redis commands and round trips and not in time."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from service.jobs.claims import AccountEffect
from service.jobs.model import Status
from service.jobs.queries import JobFilter
from service.metrics.prometheus import Metrics
from tests.support.ledgers import DAY, HOUR, TIMES, Books, Event, draft, opened_books

SMALL, LARGE = 100, 5_000
COOL_COMMENTS = AccountEffect(cooldown="slow_down", kind="comment", cooldown_ms=DAY)


class Tape:
    """The commands that a store has run, as MONITOR tells them.

    Parameters:
      monitor: The open monitor.
      store: Another connection, for the mark that ends a stretch.
    """

    def __init__(self, monitor: Any, store: redis.Redis) -> None:
        self._monitor = monitor
        self._store = store
        self._database = store.get_connection_kwargs().get("db", 0)

    def rewind(self) -> None:
        """Forget what was run so far."""
        list(self._until_mark())

    def trips(self) -> list[str]:
        """The commands that clients sent since the last look."""
        return [name for name, inside in self._until_mark() if not inside]

    def commands(self) -> Counter[str]:
        """How often each command was run since the last look, inside scripts too."""
        return Counter(name for name, _ in self._until_mark())

    def _until_mark(self) -> Iterator[tuple[str, bool]]:
        mark = uuid.uuid4().hex
        self._store.echo(mark)
        while True:
            seen = self._monitor.next_command()
            if mark in seen["command"]:
                return
            if seen["db"] == self._database:
                yield seen["command"].split()[0].upper(), seen["client_type"] == "lua"


@pytest.fixture
def tape(books: Books, store_url: str) -> Iterator[Tape]:
    with _taped(store_url) as tape:
        yield tape


@contextmanager
def _taped(url: str) -> Iterator[Tape]:
    with redis.Redis.from_url(url) as store, store.monitor() as monitor:
        yield Tape(monitor, store)


def test_a_whole_job_is_three_round_trips(books: Books, tape: Tape) -> None:
    books.finish(books.sending(books.job()))  # the scripts are known by now
    job_id = books.job()
    tape.rewind()

    claim = books.claim(job_id)
    books.intend(claim)
    books.finish(claim)

    assert tape.trips() == ["FCALL"] * 3


def test_an_event_with_many_jobs_is_one_round_trip(books: Books, tape: Tape) -> None:
    books.accept(Event("evt_before"))
    tape.rewind()

    books.accept(Event("evt_1"), *(draft(rule=f"rule-{number}") for number in range(20)))
    books.accept(Event("evt_1"))

    assert tape.trips() == ["FCALL"] * 2


def test_a_beat_is_one_round_trip_whatever_is_held(books: Books, tape: Tape) -> None:
    claims = [books.claim(books.job(account=f"account-{number}")) for number in range(30)]
    books.tick()
    tape.rewind()

    books.tick(*claims)

    assert tape.trips() == ["FCALL"]


def test_a_page_of_jobs_is_two_round_trips_and_a_third_for_those_in_line(
    books: Books, tape: Tape
) -> None:
    books.many(30, account="studio", delay_ms=HOUR)
    books.run(books.reader.jobs(JobFilter(account="studio"), cursor=None, limit=20))
    tape.rewind()
    books.run(books.reader.jobs(JobFilter(account="studio"), cursor=None, limit=20))
    assert tape.commands() == {"ZRANGE": 1, "HGETALL": 20}

    holder, waiter = books.claim(books.job()), books.job()
    books.shown(waiter)  # the script is known by now
    tape.rewind()
    books.run(books.reader.jobs(JobFilter(account="shop"), cursor=None, limit=20))
    assert tape.trips() == ["ZRANGE", "HGETALL", "HGETALL", "FCALL"]
    assert books.finish(holder)


def test_a_scrape_is_one_round_trip_whatever_there_is(books: Books, tape: Tape) -> None:
    metrics = Metrics(books.client, TIMES, ["measured", "other"])

    def scraped() -> Counter[str]:
        tape.rewind()
        books.run(metrics.text())
        return tape.commands()

    # Given one job that is claimed, and one that waits for its turn
    for _ in range(2):
        books.job(account="measured", kind="comment", post="Cx")
    books.claim(books.wakeups()[0])
    books.run(metrics.text())  # the script is known by now
    few = scraped()
    # When there are many more of them
    books.many(500, account="measured", kind="comment", post="Cx")
    # Then not one command more is run
    assert scraped() == few
    tape.rewind()
    books.run(metrics.text())
    assert tape.trips() == ["FCALL"]


def _fill(books: Books, count: int) -> None:
    """Half in one account's line, and half, the newest, on accounts of their own."""
    books.many(count // 2, account="measured", kind="comment", post="Cx")
    books.many(count // 2, apart=True)


def _whole_life(books: Books, tape: Tape) -> dict[str, Counter[str]]:
    """What each step of a job's life runs, with other jobs of the account in the line."""
    spent: dict[str, Counter[str]] = {}

    def count(name: str, step: Callable[[], Any]) -> Any:
        tape.rewind()
        result = step()
        spent[name] = tape.commands()
        return result

    def listed(only: JobFilter) -> Any:
        return books.run(books.reader.jobs(only, cursor=None, limit=50))

    job_id = count("accept", lambda: books.job(account="measured"))
    books.wakeups()
    claim = count("claim", lambda: books.claim(job_id))
    waiter = count("stand in line", lambda: books.job(account="measured"))
    count("read in line", lambda: books.shown(waiter))
    count("intent", lambda: books.intend(claim))
    count("beat", lambda: books.tick(claim))
    count("finish", lambda: books.finish(claim))
    count("release", lambda: books.release(books.claim(waiter), Status.WAITING, after_ms=1000))
    count("cancel", lambda: books.run(books.ledger.cancel(waiter, "api:test")))
    count("read", lambda: books.run(books.reader.job(job_id)))
    count("list", lambda: listed(JobFilter()))
    count("list the line", lambda: listed(JobFilter(Status.WAITING)))
    return spent


def test_no_step_costs_more_among_thousands_of_jobs_than_among_a_hundred(
    store: redis.Redis, store_url: str
) -> None:
    # No wake-up rings again while so many jobs are made, however slow the machine.
    with opened_books(store_url, replace(TIMES, lease=HOUR)) as books:
        # Given an account whose comments have to wait, so that its line stays as it is
        comment = books.claim(books.job(account="measured", kind="comment", post="Cx"))
        books.release(comment, Status.WAITING, effect=COOL_COMMENTS)
        _fill(books, SMALL)
        with _taped(store_url) as tape:
            _whole_life(books, tape)  # loads the scripts
            few = _whole_life(books, tape)
        # When there are a hundred times as many jobs, in the line and beside it
        _fill(books, LARGE - SMALL)
        with _taped(store_url) as tape:
            many = _whole_life(books, tape)

    # Then no step runs a command more
    assert store.zcard("hg:jobs") >= LARGE
    assert store.zcard("hg:acct:measured:line:comment") > LARGE // 2
    assert many == few
    assert max(sum(few[name].values()) for name in few if not name.startswith("list")) < 62
