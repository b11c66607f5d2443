"""Overlapping deploys: older and newer releases, or other settings, work on one ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.jobs.lua.limits import Limits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness, open_ledger


def test_a_write_settles_from_its_last_renewal_whichever_worker_takes_over(
    store_url: str, ledger: LedgerHarness
) -> None:
    # Given a worker with short leases, last renewed 8 s after its intent
    brief = replace(TIMES, lease=2 * SECOND, settle=5 * SECOND)
    with open_ledger(store_url, brief) as short_leases:
        job_id = short_leases.add_job()
        claim = short_leases.claim_and_send(job_id)
        for _ in range(8):
            short_leases.pass_time(SECOND)
            assert short_leases.heartbeat(claim)[0] == []
    # When a worker with long leases takes over
    with open_ledger(
        store_url, replace(TIMES, lease=60 * SECOND, settle=5 * SECOND)
    ) as long_leases:
        long_leases.pass_time(2 * SECOND)
        long_leases.heartbeat()
        # Then it verifies the write once it has settled, and not before
        long_leases.pass_time(2 * SECOND)
        assert long_leases.try_claim(job_id, "too early") is None
        long_leases.pass_time(SECOND)
        assert long_leases.claim(job_id, "in time").verify_first


def test_a_job_of_a_newer_release_is_left_alone_and_its_wake_ups_continue(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.add_job()
    ledger.take_messages()
    ledger.store.hset(f"hg:job:{job_id}", "v", 4)
    before = ledger.store.hgetall(f"hg:job:{job_id}")

    assert ledger.try_claim(job_id) is None
    assert ledger.store.hgetall(f"hg:job:{job_id}") == before

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages() == [job_id]
    assert audit(ledger) == []


def test_a_callback_of_a_newer_release_is_left_alone_and_its_wake_ups_continue(
    ledger: LedgerHarness,
) -> None:
    job_in(ledger, Status.CANCELED)
    [delivery_id] = ledger.take_messages("callbacks")
    ledger.store.hset(f"hg:dlv:{delivery_id}", "v", 4)

    assert ledger.run(ledger.deliveries.claim(delivery_id, "worker")) is None

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]


def _as_newer_kind(ledger: LedgerHarness, job_id: str) -> None:
    """Turn a job into one of a kind, and in a sub-queue, that only a newer release knows."""
    job, key = ledger.record(job_id), f"hg:job:{job_id}"
    ledger.store.hset(key, "kind", "portrait")
    ledger.store.zrem("hg:jobs:kind:dm", job_id)
    ledger.store.zadd("hg:jobs:kind:portrait", {job_id: job.seq})
    if job.status is Status.WAITING:
        queue = f"hg:acct:{job.account}:line"
        ledger.store.hset(key, "lane", "portrait")
        ledger.store.zadd(f"{queue}:portrait", {job_id: 0})
        ledger.store.zrem(f"{queue}:dm_unknown", job_id)
        ledger.store.sadd(f"hg:acct:{job.account}:lanes", "portrait")


def test_jobs_of_a_kind_unknown_to_this_release_are_kept(
    ledger: LedgerHarness,
) -> None:
    # Given such jobs: one that is due, one that has the turn, one in the account queue
    due = ledger.add_job(delay_ms=SECOND, account="other")
    granted = ledger.add_job(account="third")
    holder, waiter, behind = ledger.claim(ledger.add_job()), ledger.add_job(), ledger.add_job()
    for job_id in (due, granted, waiter):
        _as_newer_kind(ledger, job_id)
    ledger.take_messages()
    # When this release beats, and the turn would pass to the queued one
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    assert ledger.finish(holder)
    # Then the job behind it runs, and nothing else is woken
    assert ledger.run_all() == [behind]
    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert (ledger.take_messages(), audit(ledger)) == ([], [])
    # And they are where a newer release will find them
    assert [ledger.status(job_id) for job_id in (due, granted, waiter)] == [
        Status.WAITING,
        Status.QUEUED,
        Status.WAITING,
    ]
    assert {*ledger.store.zrange("hg:alarms", 0, -1)} == {b"other", b"shop"}
    assert ledger.store.zscore("hg:wakes", granted)


def test_a_job_accepted_by_the_previous_release_is_done(
    store_url: str, ledger: LedgerHarness
) -> None:
    # Given a record without the fields that this release has added
    with open_ledger(store_url, replace(TIMES, limits=Limits(repeat_ms=HOUR))) as repeating:
        job_id = repeating.add_job(rule=None)
        added = ("text_hash", "lane", "thread", "writing", "dry", "renewed")
        repeating.store.hdel(f"hg:job:{job_id}", *added)
        # Then it runs like any other
        assert repeating.finish(repeating.claim_and_send(job_id))


def test_a_queue_left_without_a_turn_by_an_older_release_continues(
    ledger: LedgerHarness,
) -> None:
    holder, waiter = ledger.claim(ledger.add_job()), ledger.add_job()
    assert ledger.status(waiter) is Status.WAITING
    # Given an older release that ends a job without passing on the turn
    ledger.finish(holder)
    ledger.take_messages()
    ledger.store.delete("hg:acct:shop:turn")
    ledger.store.zrem("hg:turns", "shop")
    ledger.store.zrem("hg:wakes", waiter)
    ledger.store.zadd("hg:acct:shop:line:dm_unknown", {waiter: 1})
    ledger.store.hset(f"hg:job:{waiter}", mapping={"status": "waiting", "lane": "dm_unknown"})
    # When the next heartbeat runs
    ledger.heartbeat()
    # Then the turn is passed on
    assert ledger.take_messages() == [waiter]


@pytest.mark.parametrize(("field", "value"), [("v", "4"), ("kind", "portrait")])
def test_jobs_only_a_newer_release_can_claim_do_not_block_others(
    ledger: LedgerHarness, field: str, value: str
) -> None:
    granted, waiter = ledger.add_job(), ledger.add_job()
    ledger.store.hset(f"hg:job:{granted}", field, value)
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.take_messages()[-1] == waiter
    assert ledger.claim(waiter)
