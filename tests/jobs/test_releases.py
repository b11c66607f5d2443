"""Deploys overlap: an older and a newer release, or other settings, work on one ledger."""

from __future__ import annotations

from dataclasses import replace

from service.jobs.model import Status
from tests.support.audit import audit
from tests.support.ledgers import SECOND, TIMES, Books, opened_books
from tests.support.stages import job_in


def test_a_write_settles_from_its_last_sign_of_life_whoever_takes_it_over(
    store_url: str, books: Books
) -> None:
    # Given a worker whose leases are short, last seen 8 s after its intent
    brief = replace(TIMES, lease=2 * SECOND, settle=5 * SECOND)
    with opened_books(store_url, brief) as dying:
        job_id = dying.job()
        claim = dying.sending(job_id)
        for _ in range(8):
            dying.pass_time(SECOND)
            assert dying.tick(claim)[0] == []
    # When one whose leases are long finds it dead
    with opened_books(store_url, replace(TIMES, lease=60 * SECOND, settle=5 * SECOND)) as heir:
        heir.pass_time(2 * SECOND)
        heir.tick()
        # Then it looks when the write has settled, and not before
        heir.pass_time(2 * SECOND)
        assert heir.try_claim(job_id, "too early") is None
        heir.pass_time(SECOND)
        assert heir.claim(job_id, "in time").look_first


def test_a_job_of_a_newer_release_is_left_to_it_and_goes_on_ringing(books: Books) -> None:
    job_id = books.job()
    books.wakeups()
    books.store.hset(f"hg:job:{job_id}", "v", 2)
    before = books.store.hgetall(f"hg:job:{job_id}")

    assert books.try_claim(job_id) is None
    assert books.store.hgetall(f"hg:job:{job_id}") == before

    books.pass_time(TIMES.lease)
    books.tick()
    assert books.wakeups() == [job_id]
    assert audit(books) == []


def test_a_callback_of_a_newer_release_is_left_to_it_and_goes_on_ringing(books: Books) -> None:
    job_in(books, Status.CANCELED)
    [delivery_id] = books.wakeups("callbacks")
    books.store.hset(f"hg:dlv:{delivery_id}", "v", 2)

    assert books.run(books.deliveries.claim(delivery_id, "worker")) is None

    books.pass_time(TIMES.lease)
    books.tick()
    assert books.wakeups("callbacks") == [delivery_id]


def test_work_of_a_kind_that_only_a_newer_release_knows_is_kept_for_it(books: Books) -> None:
    # Given a job of such a kind that is due, and one in the account's line
    later = books.job(delay_ms=SECOND, account="other")
    holder = books.claim(books.job())
    waiter = books.job()
    assert books.try_claim(waiter) is None
    books.wakeups()
    for job_id in (later, waiter):
        books.store.hset(f"hg:job:{job_id}", "kind", "portrait")
    # When this release's beat comes by, and the turn falls to it
    books.pass_time(SECOND)
    books.tick()
    books.finish(holder)
    books.pass_time(TIMES.lease)
    books.tick()
    # Then nothing is rung for, and both are still led to
    assert books.wakeups() == []
    assert {job_id for job_id in (later, waiter) if books.store.zscore("hg:wakes", job_id)} == {
        later,
        waiter,
    }
