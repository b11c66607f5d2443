"""Deploys overlap: an older and a newer release, or other settings, work on one ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.jobs.lua.limits import Limits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import HOUR, SECOND, TIMES, Books, opened_books


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
        assert heir.claim(job_id, "in time").verify_first


def test_a_job_of_a_newer_release_is_left_to_it_and_goes_on_ringing(books: Books) -> None:
    job_id = books.job()
    books.wakeups()
    books.store.hset(f"hg:job:{job_id}", "v", 3)
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
    books.store.hset(f"hg:dlv:{delivery_id}", "v", 3)

    assert books.run(books.deliveries.claim(delivery_id, "worker")) is None

    books.pass_time(TIMES.lease)
    books.tick()
    assert books.wakeups("callbacks") == [delivery_id]


def _as_newer_kind(books: Books, job_id: str) -> None:
    """Make a job one of a kind, and in a lane, that only a newer release knows."""
    job, key = books.record(job_id), f"hg:job:{job_id}"
    books.store.hset(key, "kind", "portrait")
    books.store.zrem("hg:jobs:kind:dm", job_id)
    books.store.zadd("hg:jobs:kind:portrait", {job_id: job.seq})
    if job.status is Status.WAITING:
        line = f"hg:acct:{job.account}:line"
        books.store.hset(key, "lane", "portrait")
        books.store.zadd(f"{line}:portrait", {job_id: 0})
        books.store.zrem(f"{line}:dm_unknown", job_id)
        books.store.sadd(f"hg:acct:{job.account}:lanes", "portrait")


def test_work_of_a_kind_that_only_a_newer_release_knows_is_kept_for_it(books: Books) -> None:
    # Given jobs of such a kind: one that is due, one whose turn it is, one in the account's line
    due = books.job(delay_ms=SECOND, account="other")
    granted = books.job(account="third")
    holder, waiter, behind = books.claim(books.job()), books.job(), books.job()
    for job_id in (due, granted, waiter):
        _as_newer_kind(books, job_id)
    books.wakeups()
    # When this release's beats come by, and the turn falls to the one in line
    books.pass_time(SECOND)
    books.tick()
    assert books.finish(holder)
    # Then who stands behind it goes, and nothing else is rung for
    assert books.work_off() == [behind]
    for _ in range(3):
        books.pass_time(TIMES.lease)
        books.tick()
        assert (books.wakeups(), audit(books)) == ([], [])
    # And they are where a newer release looks again and again
    assert [books.status(each) for each in (due, granted, waiter)] == [
        Status.WAITING,
        Status.QUEUED,
        Status.WAITING,
    ]
    assert {*books.store.zrange("hg:alarms", 0, -1)} == {b"other", b"shop"}
    assert books.store.zscore("hg:wakes", granted)


def test_a_job_that_the_release_before_accepted_is_done(store_url: str, books: Books) -> None:
    # Given a record without what this release has added
    with opened_books(store_url, replace(TIMES, limits=Limits(repeat_ms=HOUR))) as repeating:
        job_id = repeating.job(rule=None)
        added = ("text_hash", "lane", "thread", "writing", "dry", "renewed")
        repeating.store.hdel(f"hg:job:{job_id}", *added)
        # Then it is written as any other
        assert repeating.finish(repeating.sending(job_id))


def test_a_line_that_an_older_release_has_left_without_a_turn_goes_on(books: Books) -> None:
    holder, waiter = books.claim(books.job()), books.job()
    assert books.status(waiter) is Status.WAITING
    # Given that the older release's end of a job gives the turn to nobody
    books.finish(holder)
    books.wakeups()
    books.store.delete("hg:acct:shop:turn")
    books.store.zrem("hg:turns", "shop")
    books.store.zrem("hg:wakes", waiter)
    books.store.zadd("hg:acct:shop:line:dm_unknown", {waiter: 1})
    books.store.hset(f"hg:job:{waiter}", mapping={"status": "waiting", "lane": "dm_unknown"})
    # When the next beat comes by
    books.tick()
    # Then it is given on
    assert books.wakeups() == [waiter]


@pytest.mark.parametrize(("field", "value"), [("v", "3"), ("kind", "portrait")])
def test_what_only_a_newer_release_can_claim_keeps_nobody_else_waiting(
    books: Books, field: str, value: str
) -> None:
    called, waiter = books.job(), books.job()
    books.store.hset(f"hg:job:{called}", field, value)
    books.wakeups()

    books.pass_time(TIMES.lease)
    books.tick()

    assert books.wakeups()[-1] == waiter
    assert books.claim(waiter)
