"""Deploys overlap: an older and a newer release, or other settings, work on one ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.jobs.lua.limits import Limits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness, open_ledger


def test_a_write_settles_from_its_last_sign_of_life_whoever_takes_it_over(
    store_url: str, ledger: LedgerHarness
) -> None:
    # Given a worker whose leases are short, last seen 8 s after its intent
    brief = replace(TIMES, lease=2 * SECOND, settle=5 * SECOND)
    with open_ledger(store_url, brief) as dying:
        job_id = dying.add_job()
        claim = dying.claim_and_send(job_id)
        for _ in range(8):
            dying.pass_time(SECOND)
            assert dying.heartbeat(claim)[0] == []
    # When one whose leases are long finds it dead
    with open_ledger(store_url, replace(TIMES, lease=60 * SECOND, settle=5 * SECOND)) as heir:
        heir.pass_time(2 * SECOND)
        heir.heartbeat()
        # Then it looks when the write has settled, and not before
        heir.pass_time(2 * SECOND)
        assert heir.try_claim(job_id, "too early") is None
        heir.pass_time(SECOND)
        assert heir.claim(job_id, "in time").verify_first


def test_a_job_of_a_newer_release_is_left_to_it_and_goes_on_ringing(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.take_messages()
    ledger.store.hset(f"hg:job:{job_id}", "v", 3)
    before = ledger.store.hgetall(f"hg:job:{job_id}")

    assert ledger.try_claim(job_id) is None
    assert ledger.store.hgetall(f"hg:job:{job_id}") == before

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages() == [job_id]
    assert audit(ledger) == []


def test_a_callback_of_a_newer_release_is_left_to_it_and_goes_on_ringing(
    ledger: LedgerHarness,
) -> None:
    job_in(ledger, Status.CANCELED)
    [delivery_id] = ledger.take_messages("callbacks")
    ledger.store.hset(f"hg:dlv:{delivery_id}", "v", 3)

    assert ledger.run(ledger.deliveries.claim(delivery_id, "worker")) is None

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]


def _as_newer_kind(ledger: LedgerHarness, job_id: str) -> None:
    """Make a job one of a kind, and in a lane, that only a newer release knows."""
    job, key = ledger.record(job_id), f"hg:job:{job_id}"
    ledger.store.hset(key, "kind", "portrait")
    ledger.store.zrem("hg:jobs:kind:dm", job_id)
    ledger.store.zadd("hg:jobs:kind:portrait", {job_id: job.seq})
    if job.status is Status.WAITING:
        line = f"hg:acct:{job.account}:line"
        ledger.store.hset(key, "lane", "portrait")
        ledger.store.zadd(f"{line}:portrait", {job_id: 0})
        ledger.store.zrem(f"{line}:dm_unknown", job_id)
        ledger.store.sadd(f"hg:acct:{job.account}:lanes", "portrait")


def test_work_of_a_kind_that_only_a_newer_release_knows_is_kept_for_it(
    ledger: LedgerHarness,
) -> None:
    # Given jobs of such a kind: one that is due, one whose turn it is, one in the account's line
    due = ledger.add_job(delay_ms=SECOND, account="other")
    granted = ledger.add_job(account="third")
    holder, waiter, behind = ledger.claim(ledger.add_job()), ledger.add_job(), ledger.add_job()
    for job_id in (due, granted, waiter):
        _as_newer_kind(ledger, job_id)
    ledger.take_messages()
    # When this release's beats come by, and the turn falls to the one in line
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    assert ledger.finish(holder)
    # Then who stands behind it goes, and nothing else is rung for
    assert ledger.run_all() == [behind]
    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert (ledger.take_messages(), audit(ledger)) == ([], [])
    # And they are where a newer release looks again and again
    assert [ledger.status(each) for each in (due, granted, waiter)] == [
        Status.WAITING,
        Status.QUEUED,
        Status.WAITING,
    ]
    assert {*ledger.store.zrange("hg:alarms", 0, -1)} == {b"other", b"shop"}
    assert ledger.store.zscore("hg:wakes", granted)


def test_a_job_that_the_release_before_accepted_is_done(
    store_url: str, ledger: LedgerHarness
) -> None:
    # Given a record without what this release has added
    with open_ledger(store_url, replace(TIMES, limits=Limits(repeat_ms=HOUR))) as repeating:
        job_id = repeating.add_job(rule=None)
        added = ("text_hash", "lane", "thread", "writing", "dry", "renewed")
        repeating.store.hdel(f"hg:job:{job_id}", *added)
        # Then it is written as any other
        assert repeating.finish(repeating.claim_and_send(job_id))


def test_a_line_that_an_older_release_has_left_without_a_turn_goes_on(
    ledger: LedgerHarness,
) -> None:
    holder, waiter = ledger.claim(ledger.add_job()), ledger.add_job()
    assert ledger.status(waiter) is Status.WAITING
    # Given that the older release's end of a job gives the turn to nobody
    ledger.finish(holder)
    ledger.take_messages()
    ledger.store.delete("hg:acct:shop:turn")
    ledger.store.zrem("hg:turns", "shop")
    ledger.store.zrem("hg:wakes", waiter)
    ledger.store.zadd("hg:acct:shop:line:dm_unknown", {waiter: 1})
    ledger.store.hset(f"hg:job:{waiter}", mapping={"status": "waiting", "lane": "dm_unknown"})
    # When the next beat comes by
    ledger.heartbeat()
    # Then it is given on
    assert ledger.take_messages() == [waiter]


@pytest.mark.parametrize(("field", "value"), [("v", "3"), ("kind", "portrait")])
def test_what_only_a_newer_release_can_claim_keeps_nobody_else_waiting(
    ledger: LedgerHarness, field: str, value: str
) -> None:
    called, waiter = ledger.add_job(), ledger.add_job()
    ledger.store.hset(f"hg:job:{called}", field, value)
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.take_messages()[-1] == waiter
    assert ledger.claim(waiter)
