"""The examination: what walks have found is somebody's, stays while it must, and no longer."""

from __future__ import annotations

import pytest

from service.jobs.model import Status
from tests.support.followers import begun, row, rows, step, walk
from tests.support.health import lost, mended
from tests.support.invariants import audit, diagnosis
from tests.support.ledgers import HOUR, TIMES, Books


def test_walks_and_look_ups_at_any_stage_are_sound(books: Books) -> None:
    look_up = walk(books, kind="lookup", account="a")
    begun(books, 2, account="b")
    books.claim(begun(books, 1, account="c"))
    books.finish(books.claim(begun(books, 1, account="d")), Status.FAILED)
    assert step(books, begun(books, 1, account="e"), [row(999)]) == "succeeded"
    assert books.status(look_up) is Status.QUEUED
    assert (diagnosis(books), audit(books)) == ([], [])


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_what_nobody_has_found_is_taken_away(books: Books, name: str) -> None:
    key = f"hg:{name}:job_gone"
    if name == "rows":
        books.store.zadd(key, {"0:": 0})
    else:
        books.store.sadd(key, "1")
    mended(books, ("job_gone", "no record", key))
    assert not books.store.exists(key)


def test_rows_of_an_ended_walk_that_would_stay_for_ever_are_forgotten_in_time(
    books: Books,
) -> None:
    job_id = begun(books, 1)
    assert step(books, job_id, rows(200, 210)) == "succeeded"
    key = f"hg:rows:{job_id}"
    books.store.persist(key)
    mended(books, (job_id, "kept for ever", key))
    assert 0 < books.store.pttl(key) <= TIMES.keep_bodies


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_what_is_to_vanish_before_a_walk_has_ended_is_kept(books: Books, name: str) -> None:
    job_id = begun(books, 1)
    key = f"hg:{name}:{job_id}"
    books.store.pexpire(key, HOUR)
    mended(books, (job_id, "fading text", key))
    assert books.store.pttl(key) == -1


def test_a_walk_that_cannot_go_on_is_told_of(books: Books) -> None:
    job_id = begun(books, 1)
    books.store.delete(f"hg:walked:{job_id}")
    lost(books, (job_id, "rows lost", f"hg:rows:{job_id}"))


def test_a_walk_of_a_newer_release_is_left_to_it(books: Books) -> None:
    job_id = begun(books, 1)
    books.store.hset(f"hg:job:{job_id}", "v", 3)
    books.store.delete(f"hg:walked:{job_id}")
    assert diagnosis(books, repair=True) == []
