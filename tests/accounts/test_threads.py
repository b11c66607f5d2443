"""Threads: a DM that opens one has a budget of its own, and is found out ahead of its turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from service.jobs.claims import Claim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, SECOND, Books
from tests.support.pacing import (
    Opener,
    alarm,
    gap_ends,
    ledgers,
    pace,
    pass_until,
    spent,
    terms,
    wait_of,
    woken,
    write,
)

BOUNDED = terms(dm=pace(per_day=50), dm_new_thread=pace(per_day=1), lookup=pace((20, 30)))


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def asked(books: Books, job_id: str, pk: str) -> Claim:
    """Claim a job whose thread is not known."""
    claim = books.claim(job_id)
    assert books.intend(claim, thread="", pk=pk) == "ask"
    assert (books.status(job_id), spent(books)) == (Status.RUNNING, [])
    return claim


def test_a_dm_is_charged_by_the_thread_it_goes_into(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    write(books, books.job(), thread="old", pk="1")
    assert (len(spent(books)), len(spent(books, "dm_new_thread"))) == (1, 0)

    write(books, books.job(), thread="new", pk="2")
    assert (len(spent(books)), len(spent(books, "dm_new_thread"))) == (2, 1)


def test_a_dm_whose_thread_is_unknown_is_asked_for_and_waits_in_its_lane(opened: Opener) -> None:
    # Given that no more threads may be opened today
    books = opened(shop=BOUNDED)
    write(books, books.job(), thread="new", pk="1")
    opens = spent(books, "dm_new_thread")[0] + DAY
    # When a DM turns out to open one
    claim = books.claim(books.job())
    assert books.intend(claim, thread="", pk="2") == "ask"
    assert books.intend(claim, thread="new", pk="2", reads=1) == "waiting"
    # Then it waits for tomorrow, and that was no attempt
    assert wait_of(books, claim.id) == ("dm_new_thread_per_day", opens, 0)
    assert books.record(claim.id).attempts == 0
    # And DMs into threads that exist go on
    pass_until(books, gap_ends(books, "lookup"))
    for pk in ("3", "4"):
        other = books.claim(books.job())
        assert books.intend(other, thread="", pk=pk) == "ask"
        assert books.intend(other, thread="old", pk=pk) == "ok"
        assert books.finish(other)
    # And tomorrow it is not asked for again
    assert alarm(books) == spent(books, "dm_new_thread")[0] + DAY
    pass_until(books, spent(books, "dm_new_thread")[0] + DAY)
    assert woken(books) == [claim.id]
    write(books, claim.id, thread="", pk="2")
    assert audit(books) == []


def test_a_thread_is_known_after_a_success(opened: Opener) -> None:
    books = opened(shop=BOUNDED)
    write(books, asked(books, books.job(), "1").id, thread="new", pk="1")

    write(books, books.job(), thread="", pk="1")

    assert len(spent(books, "dm_new_thread")) == 1
    other = books.claim(books.job(account="studio"))
    assert books.intend(other, thread="", pk="1") == "ask", "a thread is one account's"


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNCERTAIN])
def test_a_thread_is_not_known_after_anything_else(opened: Opener, status: Status) -> None:
    books = opened(shop=terms())
    write(books, books.job(), thread="new", pk="1", status=status)

    assert books.intend(books.claim(books.job()), thread="", pk="1") == "ask"


def test_a_thread_that_another_job_has_opened_meanwhile_is_not_opened_again(
    opened: Opener,
) -> None:
    # Given two DMs to somebody to whom there is no thread, of which one waits
    books = opened(shop=terms(dm_new_thread=pace(per_hour=1)))
    first, second = books.job(), books.job()
    waiting = books.claim(first)
    assert books.intend(waiting, thread="", pk="1") == "ask"
    assert books.release(waiting, Status.WAITING, after_ms=SECOND) == "ok"
    write(books, second, thread="new", pk="1")
    # When its time has come
    books.pass_time(SECOND)
    assert woken(books) == [first]
    # Then it goes into the thread of the other
    write(books, first, thread="", pk="1")
    assert len(spent(books, "dm_new_thread")) == 1


def test_asking_ahead_of_time_is_bounded_by_the_pace_of_look_ups(opened: Opener) -> None:
    # Given many DMs of which nothing is known, and no more threads to open
    lookup = pace((20, 30), per_hour=3)
    books = opened(shop=terms(dm_new_thread=pace(per_day=1), lookup=lookup))
    write(books, books.job(), thread="new", pk="1")
    books.wakeups()
    for _ in range(10):
        books.job()
    # When each turns out to open one
    probes = []
    for _ in range(5):
        for job_id in books.wakeups():
            claim = books.claim(job_id)
            assert books.intend(claim, thread="", pk="2") == "ask"
            assert books.intend(claim, thread="new", pk="2", reads=1) == "waiting"
            probes.append(job_id)
            assert books.wakeups() == [], "the next waits for the gap between look-ups"
        books.pass_time(30 * SECOND)
        books.tick()
    # Then no more of them were asked for than look-ups are allowed
    assert len(probes) == 3
    assert alarm(books) == spent(books, "lookup")[0] + HOUR
    pass_until(books, spent(books, "lookup")[0] + HOUR)
    assert len(woken(books)) == 1
    assert audit(books) == []
