"""Pauses: people stop a kind of job, an account or all accounts, and resume them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, LedgerHarness
from tests.support.limited_ledger import (
    LedgerFactory,
    gap_ends_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    pace,
    send,
    spent_ms,
)

COMMENT: Final[dict[str, Any]] = {"kind": "comment", "to": None, "post": "Cx"}


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


@pytest.fixture
def ledger(ledger_with: LedgerFactory) -> LedgerHarness:
    return ledger_with(shop=limits(), studio=limits())


def pause(ledger: LedgerHarness, *, kind: str | None = None) -> None:
    ledger.run(ledger.controls.pause("shop", kind=kind))


def resume(ledger: LedgerHarness, *, kind: str | None = None) -> int:
    return ledger.run(ledger.controls.resume("shop", kind=kind))


def pause_all(ledger: LedgerHarness) -> None:
    ledger.run(ledger.controls.pause_all())


def resume_all(ledger: LedgerHarness) -> int:
    return ledger.run(ledger.controls.resume_all())


def are_stopped(ledger: LedgerHarness, *jobs: str) -> bool:
    """Whether none of the jobs can be claimed, nor is woken by a heartbeat."""
    claimed = any(ledger.try_claim(job_id) for job_id in jobs)
    return not claimed and not set(heartbeat_wakeups(ledger)) & set(jobs)


# -- pausing


def test_pausing_one_kind_stops_that_kind(ledger: LedgerHarness) -> None:
    pause(ledger, kind="dm")
    dms = [ledger.add_job(priority=priority) for priority in (1, 5, 9)]

    assert are_stopped(ledger, *dms)
    assert [ledger.status(job_id) for job_id in dms] == [Status.HELD] * 3
    assert ledger.api_job(dms[0])["wait"]["reason"] == "paused"
    send(ledger, ledger.add_job(**COMMENT))
    send(ledger, ledger.add_job(account="studio"))
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["paused_kinds"]) == ("active", ["dm"])
    assert audit(ledger) == []


def test_pausing_one_kind_lets_its_verifications_run(ledger: LedgerHarness) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(unconfirmed, Status.SENDING) == "ok"
    pause(ledger, kind="dm")

    ledger.heartbeat()

    assert ledger.claim(unconfirmed.id).verify_first


@pytest.mark.parametrize("stop", [pause, pause_all])
def test_pausing_the_account_or_all_accounts_stops_all_its_jobs(
    ledger: LedgerHarness, stop: Any
) -> None:
    # Given an unconfirmed write, and queued jobs of every kind
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    jobs = [ledger.add_job(), ledger.add_job(**COMMENT)]
    assert ledger.release(unconfirmed, Status.SENDING) == "ok"
    stop(ledger)
    later = [ledger.add_job(), ledger.add_job(**COMMENT)]
    # Then none can be claimed, whatever the time
    assert are_stopped(ledger, unconfirmed.id, *jobs, *later)
    ledger.pass_time(HOUR)
    assert are_stopped(ledger, unconfirmed.id, *jobs, *later)
    assert [ledger.status(job_id) for job_id in (*jobs, *later)] == [Status.HELD] * 4
    assert audit(ledger) == []


def test_pausing_all_accounts_stops_every_account(ledger: LedgerHarness) -> None:
    ours, theirs = ledger.add_job(), ledger.add_job(account="studio")
    pause_all(ledger)
    new = ledger.add_job(account="new")

    assert are_stopped(ledger, ours, theirs, new)

    assert ledger.run(ledger.controls.global_pause())["status"] == "paused"
    assert ledger.run(ledger.controls.show("studio"))["paused_everywhere"]
    assert resume_all(ledger) == 3
    assert set(ledger.run_all()) == {ours, theirs, new}
    assert audit(ledger) == []


@pytest.mark.parametrize("kind", [None, "dm", "all"])
def test_a_job_claimed_before_a_pause_is_held_before_its_write(
    ledger: LedgerHarness, kind: str | None
) -> None:
    claim = ledger.claim(ledger.add_job())
    pause_all(ledger) if kind == "all" else pause(ledger, kind=kind)

    assert ledger.record_intent(claim) == "held"

    assert (spent_ms(ledger), ledger.record(claim.id).attempts) == ([], 0)
    assert are_stopped(ledger, claim.id)
    assert audit(ledger) == []


def test_scheduled_jobs_and_retries_do_not_bypass_a_pause(ledger: LedgerHarness) -> None:
    scheduled = ledger.add_job(delay_ms=HOUR)
    failed = send(ledger, ledger.add_job(), status=Status.FAILED).id
    waiting = ledger.claim(ledger.add_job())
    assert ledger.release(waiting, Status.WAITING, after_ms=HOUR) == "ok"
    pause(ledger, kind="dm")
    assert ledger.run(ledger.core.retry(failed, "api:test")) == "ok"

    ledger.pass_time(HOUR)

    assert are_stopped(ledger, scheduled, failed, waiting.id)
    assert audit(ledger) == []


def test_a_job_expires_while_it_is_held(ledger: LedgerHarness) -> None:
    pause(ledger, kind="dm")
    job_id = ledger.add_job(expires_ms=HOUR)

    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert ledger.status(job_id) is Status.EXPIRED
    assert resume(ledger, kind="dm") == 0


# -- resuming


@pytest.mark.parametrize("kind", ["dm", None])
def test_held_jobs_resume_in_their_order(ledger: LedgerHarness, kind: str | None) -> None:
    before = [ledger.add_job(priority=priority) for priority in (1, 5)]
    pause(ledger, kind=kind)
    after = [ledger.add_job(priority=priority) for priority in (5, 9)]
    assert are_stopped(ledger, *before, *after)

    assert resume(ledger, kind=kind) == 4

    assert ledger.run_all() == [after[1], before[1], after[0], before[0]]
    assert audit(ledger) == []


def test_ending_one_pause_does_not_end_another(ledger: LedgerHarness) -> None:
    # Given a pause of all accounts, of the account and of one of its kinds
    pause_all(ledger)
    pause(ledger)
    pause(ledger, kind="dm")
    job_id = ledger.add_job()
    # When they end one by one
    assert resume_all(ledger) == 0
    assert are_stopped(ledger, job_id)
    assert ledger.run(ledger.controls.show("shop"))["status"] == "paused"
    pause_all(ledger)
    assert resume(ledger) == 0
    assert are_stopped(ledger, job_id)
    assert ledger.run(ledger.controls.global_pause())["status"] == "paused"
    # Then the job is released with the last
    assert resume_all(ledger) == 1
    assert ledger.claim(job_id)
    assert audit(ledger) == []


def test_resuming_one_kind_does_not_resume_the_account_or_another_kind(
    ledger: LedgerHarness,
) -> None:
    pause(ledger)
    for kind in ("dm", "comment"):
        pause(ledger, kind=kind)
    dm, comment = ledger.add_job(), ledger.add_job(**COMMENT)

    assert resume(ledger, kind="dm") == 0
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["paused_kinds"]) == ("paused", ["comment"])
    assert are_stopped(ledger, dm, comment)

    assert resume(ledger) == 2
    assert ledger.run(ledger.controls.show("shop"))["paused_kinds"] == []


def test_a_pause_outlives_the_process(ledger: LedgerHarness, ledger_with: LedgerFactory) -> None:
    pause(ledger, kind="dm")
    pause_all(ledger)

    other = ledger_with(shop=limits())
    job_id = other.add_job()
    assert are_stopped(other, job_id)
    assert resume_all(other) == 0
    assert are_stopped(other, job_id)
    assert resume(other, kind="dm") == 1


def test_resuming_respects_rate_limits(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((60, 90))))
    send(ledger, ledger.add_job())
    pause(ledger)
    jobs = [ledger.add_job(), ledger.add_job()]

    assert resume(ledger) == 2

    assert heartbeat_wakeups(ledger) == []
    assert ledger.try_claim(jobs[0]) is None
    assert gap_ends_ms(ledger) > 0
    assert audit(ledger) == []


def test_hundreds_of_queued_jobs_are_held_and_resume_in_their_order(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    jobs = ledger.add_jobs(250)
    pause(ledger)
    assert ledger.finish(holder)
    for _ in range(10):
        ledger.heartbeat()
    assert ledger.run(ledger.controls.show("shop"))["jobs"]["held"] == 250

    assert resume(ledger) == 250
    assert ledger.run_all() == jobs
