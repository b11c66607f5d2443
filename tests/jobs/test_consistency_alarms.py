"""Consistency checks: unreachable work is found and woken when due."""

from __future__ import annotations

from typing import Final

import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.model import FINAL, Status
from tests.support.consistency import assert_repairable, assert_unrepairable, run_to_end
from tests.support.corruption import drop_alarms
from tests.support.invariants import audit, diagnosis
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, TIMES, LedgerHarness

UNFINISHED: Final = [status for status in Status if status not in FINAL]
#: Neither claimed nor final.
IDLE: Final = [status for status in UNFINISHED if status not in ("running", "sending")]


# -- wake-ups


@pytest.mark.parametrize("status", IDLE)
def test_unreachable_work_is_woken(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    drop_alarms(ledger, job_id)

    assert_repairable(ledger, (job_id, "orphaned", str(status)))

    assert run_to_end(ledger, job_id)


def test_a_held_job_of_an_unblocked_account_is_woken(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.HELD)
    ledger.store.hdel("hg:acct:shop", "hold")
    assert_repairable(ledger, (job_id, "orphaned", "held"))
    ledger.heartbeat()
    assert ledger.claim(job_id)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
def test_work_without_a_worker_is_claimed_again(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    ledger.store.hset(f"hg:job:{job_id}", mapping={"owner": "", "lease": 0})
    drop_alarms(ledger, job_id)
    assert_repairable(ledger, (job_id, "orphaned", str(status)))
    assert run_to_end(ledger, job_id)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.WAITING])
@pytest.mark.parametrize("repair_by", ["doctor", "rescue"])
def test_unreachable_scheduled_work_is_not_run_early(
    ledger: LedgerHarness, status: Status, repair_by: str
) -> None:
    job_id = job_in(ledger, status)
    drop_alarms(ledger, job_id)
    assert diagnosis(ledger, repair=True) if repair_by == "doctor" else ledger.rescue()

    ledger.heartbeat()
    assert (ledger.take_messages(), ledger.status(job_id)) == ([], status)
    ledger.pass_time(HOUR)
    for _ in range(2):
        ledger.heartbeat()
    assert ledger.take_messages() == [job_id]


def test_an_unreachable_unconfirmed_write_is_verified_once_settled(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.SENDING)
    ledger.store.hset(f"hg:job:{job_id}", mapping={"owner": "", "lease": 0})
    drop_alarms(ledger, job_id)
    diagnosis(ledger, repair=True)

    ledger.heartbeat()
    assert ledger.take_messages() == []
    ledger.pass_time(TIMES.settle)
    ledger.heartbeat()
    assert ledger.take_messages() == [job_id]


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
@pytest.mark.parametrize("harm", ["gone", "late"])
def test_a_claim_without_lease_index_expires_again(
    ledger: LedgerHarness, status: Status, harm: str
) -> None:
    job_id = job_in(ledger, status)
    if harm == "gone":
        ledger.store.zrem("hg:leases", job_id)
    else:
        ledger.store.zincrby("hg:leases", DAY, job_id)
    assert_repairable(ledger, (job_id, "lease never expires", "hg:leases"))
    assert run_to_end(ledger, job_id)


@pytest.mark.parametrize("status", IDLE)
def test_a_job_missing_from_the_expiry_index_expires_again(
    ledger: LedgerHarness, status: Status
) -> None:
    job_id = job_in(ledger, status, expires_ms=2 * HOUR)
    ledger.store.zrem("hg:expiry", job_id)
    assert_repairable(ledger, (job_id, "expires_at ignored", "hg:expiry"))
    ledger.take_messages()
    ledger.pass_time(3 * HOUR)
    for index in ("hg:due", "hg:wakes"):
        ledger.store.zrem(index, job_id)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.EXPIRED


# -- turns and queues


@pytest.fixture
def queued_jobs(ledger: LedgerHarness) -> list[str]:
    """A running job, and two that wait for their turn, in order."""
    jobs = [ledger.add_job() for _ in range(3)]
    ledger.claim(jobs[0])
    ledger.take_messages()
    return jobs


def _lose_turn(ledger: LedgerHarness) -> None:
    ledger.store.zrem("hg:turns", "shop")
    ledger.store.delete("hg:acct:shop:turn")


def test_a_queue_without_a_turn_moves_again(ledger: LedgerHarness, queued_jobs: list[str]) -> None:
    # Given a turn that was lost with a job that ended before it started
    ledger.finish(ledger.claim(queued_jobs[0]))
    _lose_turn(ledger)
    assert ledger.run(ledger.core.cancel(queued_jobs[1], "api:test")) == "ok"
    ledger.take_messages()

    assert_repairable(ledger, ("shop", "stuck queue", "hg:acct:shop:line"))

    assert (ledger.take_messages(), ledger.turn()) == ([queued_jobs[2]], queued_jobs[2])
    assert run_to_end(ledger, queued_jobs[2])


def test_a_blocked_queue_without_an_alarm_moves_again(
    ledger: LedgerHarness, queued_jobs: list[str]
) -> None:
    cooldown = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
    ledger.release(ledger.claim(queued_jobs[0]), Status.WAITING, effect=cooldown)
    ledger.store.delete("hg:alarms")

    assert_repairable(ledger, ("shop", "stuck queue", "hg:acct:shop:line"))

    assert (ledger.take_messages(), ledger.turn()) == ([], None)
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.take_messages() == [queued_jobs[0]]


def test_a_queue_that_lost_its_worker_and_turn_moves_again(
    ledger: LedgerHarness, queued_jobs: list[str]
) -> None:
    worker = queued_jobs[0]
    ledger.store.hset(f"hg:job:{worker}", mapping={"owner": "", "lease": 0})
    ledger.store.zrem("hg:leases", worker)
    _lose_turn(ledger)
    assert {(defect.id, defect.problem) for defect in diagnosis(ledger)} == {
        ("shop", "stuck queue"),
        (worker, "orphaned"),
    }

    # The woken job is queued again, and that moves the queue.
    assert [defect.problem for defect in diagnosis(ledger, repair=True)] == ["orphaned"]

    assert (diagnosis(ledger), audit(ledger)) == ([], [])
    assert (ledger.take_messages(), ledger.turn()) == ([worker], worker)
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


@pytest.mark.parametrize("harm", ["lanes", "entry"])
def test_a_job_in_an_unlisted_sub_queue_is_woken(
    ledger: LedgerHarness, queued_jobs: list[str], harm: str
) -> None:
    if harm == "lanes":
        ledger.store.delete("hg:acct:shop:lanes")
    else:
        ledger.store.zrem("hg:acct:shop:line:dm_unknown", *queued_jobs[1:])
    assert_repairable(ledger, *((job_id, "orphaned", "waiting") for job_id in queued_jobs[1:]))
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


def test_an_unreadable_record_does_not_keep_the_turn(ledger: LedgerHarness) -> None:
    broken, waiter = ledger.add_job(), ledger.add_job()
    ledger.store.hdel(f"hg:job:{broken}", "status")
    assert {(defect.id, defect.problem) for defect in diagnosis(ledger, repair=True)} == {
        (broken, "broken record"),
        ("shop", "stale turn"),
    }
    assert_unrepairable(ledger, (broken, "broken record", "status"))
    assert ledger.turn() == waiter


def test_a_turn_without_expiry_expires(ledger: LedgerHarness, queued_jobs: list[str]) -> None:
    ledger.store.zrem("hg:turns", "shop")
    assert_repairable(ledger, ("shop", "turn never expires", "hg:turns"))
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


@pytest.mark.parametrize("holder", ["job_gone", "ended"])
def test_a_turn_of_an_ended_job_passes_on(ledger: LedgerHarness, holder: str) -> None:
    done, waiter = job_in(ledger, Status.SUCCEEDED), ledger.add_job()
    ledger.take_messages()
    claim = ledger.claim(waiter)
    assert ledger.release(claim, Status.WAITING, after_ms=HOUR) == "ok"
    name = done if holder == "ended" else holder
    ledger.store.set("hg:acct:shop:turn", name)
    assert_repairable(ledger, ("shop", "stale turn", name))
    assert ledger.turn() is None
    assert run_to_end(ledger, waiter)


def test_a_stale_turn_index_entry_is_removed(ledger: LedgerHarness) -> None:
    ledger.store.zadd("hg:turns", {"shop": 1})
    assert_repairable(ledger, ("shop", "turn without a job", "hg:turns"))
    assert ledger.store.zcard("hg:turns") == 0


@pytest.mark.parametrize("holder", [None, "job_gone", "waiting"])
def test_a_running_job_without_the_turn_gets_it_back(
    ledger: LedgerHarness, queued_jobs: list[str], holder: str | None
) -> None:
    if holder is None:
        ledger.store.delete("hg:acct:shop:turn")
    else:
        ledger.store.set("hg:acct:shop:turn", queued_jobs[1] if holder == "waiting" else holder)
    found = {(defect.id, defect.problem) for defect in diagnosis(ledger, repair=True)}
    assert (queued_jobs[0], "missing turn") in found
    assert (ledger.turn(), diagnosis(ledger), audit(ledger)) == (queued_jobs[0], [], [])
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


def test_two_jobs_running_at_once_are_reported_until_one_ends(ledger: LedgerHarness) -> None:
    first = ledger.claim(ledger.add_job())
    ledger.store.delete("hg:acct:shop:turn")
    ledger.store.zrem("hg:turns", "shop")
    second = ledger.claim(ledger.add_job())
    assert_unrepairable(ledger, (first.id, "missing turn", "hg:acct:shop:turn"))
    assert ledger.finish(second)
    assert_repairable(ledger, (first.id, "missing turn", "hg:acct:shop:turn"))
