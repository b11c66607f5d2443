"""Pauses: people stop a kind of work, an account or everything, and it goes on as it stood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import HOUR, Books
from tests.support.pacing import Opener, gap_ends, ledgers, pace, spent, terms, woken, write

COMMENT: Final[dict[str, Any]] = {"kind": "comment", "to": None, "post": "Cx"}


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


@pytest.fixture
def books(opened: Opener) -> Books:
    return opened(shop=terms(), studio=terms())


def pause(books: Books, *, kind: str | None = None) -> None:
    books.run(books.doors.pause("shop", kind=kind))


def resume(books: Books, *, kind: str | None = None) -> int:
    return books.run(books.doors.resume("shop", kind=kind))


def pause_everything(books: Books) -> None:
    books.run(books.doors.pause_all())


def resume_everything(books: Books) -> int:
    return books.run(books.doors.resume_all())


def are_stopped(books: Books, *jobs: str) -> bool:
    """Whether none can be had by a claim, nor is woken by a beat."""
    claimed = any(books.try_claim(job_id) for job_id in jobs)
    return not claimed and not set(woken(books)) & set(jobs)


# -- what is stopped


def test_a_pause_of_one_kind_stops_that_kind(books: Books) -> None:
    pause(books, kind="dm")
    dms = [books.job(priority=priority) for priority in (1, 5, 9)]

    assert are_stopped(books, *dms)
    assert [books.status(job_id) for job_id in dms] == [Status.HELD] * 3
    assert books.shown(dms[0])["wait"]["reason"] == "paused"
    write(books, books.job(**COMMENT))
    write(books, books.job(account="studio"))
    shown = books.run(books.doors.show("shop"))
    assert (shown["status"], shown["paused_kinds"]) == ("active", ["dm"])
    assert audit(books) == []


def test_a_pause_of_one_kind_lets_look_ups_of_that_kind_go(books: Books) -> None:
    doubtful = books.sending(books.job())
    assert books.release(doubtful, Status.SENDING) == "ok"
    pause(books, kind="dm")

    books.tick()

    assert books.claim(doubtful.id).verify_first


@pytest.mark.parametrize("stop", [pause, pause_everything])
def test_a_pause_of_the_account_or_of_everything_stops_all_of_it(books: Books, stop: Any) -> None:
    # Given a write in doubt, and jobs of every kind in the line
    doubtful = books.sending(books.job())
    jobs = [books.job(), books.job(**COMMENT)]
    assert books.release(doubtful, Status.SENDING) == "ok"
    stop(books)
    later = [books.job(), books.job(**COMMENT)]
    # Then nothing is claimed, whatever the time
    assert are_stopped(books, doubtful.id, *jobs, *later)
    books.pass_time(HOUR)
    assert are_stopped(books, doubtful.id, *jobs, *later)
    assert [books.status(job_id) for job_id in (*jobs, *later)] == [Status.HELD] * 4
    assert audit(books) == []


def test_a_pause_of_everything_stops_every_account(books: Books) -> None:
    ours, theirs = books.job(), books.job(account="studio")
    pause_everything(books)
    new = books.job(account="new")

    assert are_stopped(books, ours, theirs, new)

    assert books.run(books.doors.global_pause())["status"] == "paused"
    assert books.run(books.doors.show("studio"))["paused_everywhere"]
    assert resume_everything(books) == 3
    assert set(books.work_off()) == {ours, theirs, new}
    assert audit(books) == []


@pytest.mark.parametrize("kind", [None, "dm", "everything"])
def test_a_write_that_a_worker_was_about_to_make_is_held(books: Books, kind: str | None) -> None:
    claim = books.claim(books.job())
    pause_everything(books) if kind == "everything" else pause(books, kind=kind)

    assert books.intend(claim) == "held"

    assert (spent(books), books.record(claim.id).attempts) == ([], 0)
    assert are_stopped(books, claim.id)
    assert audit(books) == []


def test_scheduled_jobs_and_retries_do_not_get_past_a_pause(books: Books) -> None:
    scheduled = books.job(delay_ms=HOUR)
    failed = write(books, books.job(), status=Status.FAILED).id
    waiting = books.claim(books.job())
    assert books.release(waiting, Status.WAITING, after_ms=HOUR) == "ok"
    pause(books, kind="dm")
    assert books.run(books.ledger.retry(failed, "api:test")) == "ok"

    books.pass_time(HOUR)

    assert are_stopped(books, scheduled, failed, waiting.id)
    assert audit(books) == []


def test_a_job_expires_while_it_is_held(books: Books) -> None:
    pause(books, kind="dm")
    job_id = books.job(expires_ms=HOUR)

    books.pass_time(HOUR)
    books.tick()

    assert books.status(job_id) is Status.EXPIRED
    assert resume(books, kind="dm") == 0


# -- what goes on, and how


@pytest.mark.parametrize("kind", ["dm", None])
def test_what_a_pause_kept_goes_on_in_its_order(books: Books, kind: str | None) -> None:
    before = [books.job(priority=priority) for priority in (1, 5)]
    pause(books, kind=kind)
    after = [books.job(priority=priority) for priority in (5, 9)]
    assert are_stopped(books, *before, *after)

    assert resume(books, kind=kind) == 4

    assert books.work_off() == [after[1], before[1], after[0], before[0]]
    assert audit(books) == []


def test_an_end_of_one_pause_does_not_end_another(books: Books) -> None:
    # Given the account, a kind of it, and everything paused
    pause_everything(books)
    pause(books)
    pause(books, kind="dm")
    job_id = books.job()
    # When they end, one by one
    assert resume_everything(books) == 0
    assert are_stopped(books, job_id)
    assert books.run(books.doors.show("shop"))["status"] == "paused"
    pause_everything(books)
    assert resume(books) == 0
    assert are_stopped(books, job_id)
    assert books.run(books.doors.global_pause())["status"] == "paused"
    # Then it goes on at the last
    assert resume_everything(books) == 1
    assert books.claim(job_id)
    assert audit(books) == []


def test_a_resume_of_one_kind_does_not_end_the_account_s_pause_nor_another_kind_s(
    books: Books,
) -> None:
    pause(books)
    for kind in ("dm", "comment"):
        pause(books, kind=kind)
    dm, comment = books.job(), books.job(**COMMENT)

    assert resume(books, kind="dm") == 0
    shown = books.run(books.doors.show("shop"))
    assert (shown["status"], shown["paused_kinds"]) == ("paused", ["comment"])
    assert are_stopped(books, dm, comment)

    assert resume(books) == 2
    assert books.run(books.doors.show("shop"))["paused_kinds"] == []


def test_a_pause_is_in_the_store(books: Books, opened: Opener) -> None:
    pause(books, kind="dm")
    pause_everything(books)

    other = opened(shop=terms())
    job_id = other.job()
    assert are_stopped(other, job_id)
    assert resume_everything(other) == 0
    assert are_stopped(other, job_id)
    assert resume(other, kind="dm") == 1


def test_a_resume_does_not_spend_what_the_budget_does_not_have(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace((60, 90))))
    write(books, books.job())
    pause(books)
    jobs = [books.job(), books.job()]

    assert resume(books) == 2

    assert woken(books) == []
    assert books.try_claim(jobs[0]) is None
    assert gap_ends(books) > 0
    assert audit(books) == []


def test_hundreds_in_line_are_held_and_go_on_in_their_order(books: Books) -> None:
    holder = books.claim(books.job())
    jobs = books.many(250)
    pause(books)
    assert books.finish(holder)
    for _ in range(10):
        books.tick()
    assert books.run(books.doors.show("shop"))["jobs"]["held"] == 250

    assert resume(books) == 250
    assert books.work_off() == jobs
