"""The examination: work that nothing leads to is found, woken in its time, and goes on."""

from __future__ import annotations

from typing import Final

import pytest

from service.jobs.claims import AccountEffect
from service.jobs.model import FINAL, Status
from tests.support.consistency import assert_repairable, assert_unrepairable, run_to_end
from tests.support.corruption import drop_alarms
from tests.support.invariants import audit, diagnosis
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, TIMES, LedgerHarness

UNENDED: Final = [status for status in Status if status not in FINAL]
#: What is neither claimed nor ended.
IDLE: Final = [each for each in UNENDED if each not in ("running", "sending")]


# -- what leads to work


@pytest.mark.parametrize("status", IDLE)
def test_work_that_nothing_leads_to_is_woken(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    drop_alarms(ledger, job_id)

    assert_repairable(ledger, (job_id, "unreachable", str(status)))

    assert run_to_end(ledger, job_id)


def test_a_held_job_whose_account_was_opened_by_nobody_knows_whom_is_woken(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.HELD)
    ledger.store.hdel("hg:acct:shop", "hold")
    assert_repairable(ledger, (job_id, "unreachable", "held"))
    ledger.heartbeat()
    assert ledger.claim(job_id)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
def test_work_without_a_worker_is_taken_up(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    ledger.store.hset(f"hg:job:{job_id}", mapping={"owner": "", "lease": 0})
    drop_alarms(ledger, job_id)
    assert_repairable(ledger, (job_id, "unreachable", str(status)))
    assert run_to_end(ledger, job_id)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.WAITING])
@pytest.mark.parametrize("who", ["doctor", "sweep"])
def test_what_is_meant_for_later_is_not_done_now(
    ledger: LedgerHarness, status: Status, who: str
) -> None:
    job_id = job_in(ledger, status)
    drop_alarms(ledger, job_id)
    assert diagnosis(ledger, repair=True) if who == "doctor" else ledger.rescue()

    ledger.heartbeat()
    assert (ledger.take_messages(), ledger.status(job_id)) == ([], status)
    ledger.pass_time(HOUR)
    for _ in range(2):
        ledger.heartbeat()
    assert ledger.take_messages() == [job_id]


def test_a_write_that_may_have_happened_is_looked_up_once_it_has_settled(
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
def test_a_claim_that_would_never_lapse_lapses_again(
    ledger: LedgerHarness, status: Status, harm: str
) -> None:
    job_id = job_in(ledger, status)
    if harm == "gone":
        ledger.store.zrem("hg:leases", job_id)
    else:
        ledger.store.zincrby("hg:leases", DAY, job_id)
    assert_repairable(ledger, (job_id, "never lapses", "hg:leases"))
    assert run_to_end(ledger, job_id)


@pytest.mark.parametrize("status", IDLE)
def test_a_job_that_would_never_expire_does(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status, expires_ms=2 * HOUR)
    ledger.store.zrem("hg:expiry", job_id)
    assert_repairable(ledger, (job_id, "never expires", "hg:expiry"))
    ledger.take_messages()
    ledger.pass_time(3 * HOUR)
    for index in ("hg:due", "hg:wakes"):
        ledger.store.zrem(index, job_id)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.EXPIRED


# -- turns and lines


@pytest.fixture
def queued_jobs(ledger: LedgerHarness) -> list[str]:
    """A job that works, and two that wait for their turn, in order."""
    jobs = [ledger.add_job() for _ in range(3)]
    ledger.claim(jobs[0])
    ledger.take_messages()
    return jobs


def _lose_turn(ledger: LedgerHarness) -> None:
    ledger.store.zrem("hg:turns", "shop")
    ledger.store.delete("hg:acct:shop:turn")


def test_a_line_without_a_turn_moves_again(ledger: LedgerHarness, queued_jobs: list[str]) -> None:
    # Given a turn that was lost when it came to a job that ended before it was begun
    ledger.finish(ledger.claim(queued_jobs[0]))
    _lose_turn(ledger)
    assert ledger.run(ledger.core.cancel(queued_jobs[1], "api:test")) == "ok"
    ledger.take_messages()

    assert_repairable(ledger, ("shop", "stuck line", "hg:acct:shop:line"))

    assert (ledger.take_messages(), ledger.turn()) == ([queued_jobs[2]], queued_jobs[2])
    assert run_to_end(ledger, queued_jobs[2])


def test_a_line_that_waits_for_a_door_without_an_alarm_moves_again(
    ledger: LedgerHarness, queued_jobs: list[str]
) -> None:
    cooling = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
    ledger.release(ledger.claim(queued_jobs[0]), Status.WAITING, effect=cooling)
    ledger.store.delete("hg:alarms")

    assert_repairable(ledger, ("shop", "stuck line", "hg:acct:shop:line"))

    assert (ledger.take_messages(), ledger.turn()) == ([], None)
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.take_messages() == [queued_jobs[0]]


def test_a_line_whose_worker_is_lost_with_its_turn_moves_again(
    ledger: LedgerHarness, queued_jobs: list[str]
) -> None:
    worker = queued_jobs[0]
    ledger.store.hset(f"hg:job:{worker}", mapping={"owner": "", "lease": 0})
    ledger.store.zrem("hg:leases", worker)
    _lose_turn(ledger)
    assert {(each.id, each.problem) for each in diagnosis(ledger)} == {
        ("shop", "stuck line"),
        (worker, "unreachable"),
    }

    # Who is taken up again stands in the line, and that moves it.
    assert [each.problem for each in diagnosis(ledger, repair=True)] == ["unreachable"]

    assert (diagnosis(ledger), audit(ledger)) == ([], [])
    assert (ledger.take_messages(), ledger.turn()) == ([worker], worker)
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


@pytest.mark.parametrize("harm", ["lane", "place"])
def test_who_stands_where_nobody_looks_is_woken(
    ledger: LedgerHarness, queued_jobs: list[str], harm: str
) -> None:
    if harm == "lane":
        ledger.store.delete("hg:acct:shop:lanes")
    else:
        ledger.store.zrem("hg:acct:shop:line:dm_unknown", *queued_jobs[1:])
    assert_repairable(ledger, *((job_id, "unreachable", "waiting") for job_id in queued_jobs[1:]))
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


def test_a_record_that_cannot_be_read_does_not_keep_the_turn(ledger: LedgerHarness) -> None:
    broken, waiter = ledger.add_job(), ledger.add_job()
    ledger.store.hdel(f"hg:job:{broken}", "status")
    assert {(each.id, each.problem) for each in diagnosis(ledger, repair=True)} == {
        (broken, "broken record"),
        ("shop", "idle turn"),
    }
    assert_unrepairable(ledger, (broken, "broken record", "status"))
    assert ledger.turn() == waiter


def test_a_turn_that_would_never_end_ends(ledger: LedgerHarness, queued_jobs: list[str]) -> None:
    ledger.store.zrem("hg:turns", "shop")
    assert_repairable(ledger, ("shop", "endless turn", "hg:turns"))
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


@pytest.mark.parametrize("holder", ["job_gone", "ended"])
def test_a_turn_that_nobody_uses_passes_on(ledger: LedgerHarness, holder: str) -> None:
    done, waiter = job_in(ledger, Status.SUCCEEDED), ledger.add_job()
    ledger.take_messages()
    claim = ledger.claim(waiter)
    assert ledger.release(claim, Status.WAITING, after_ms=HOUR) == "ok"
    name = done if holder == "ended" else holder
    ledger.store.set("hg:acct:shop:turn", name)
    assert_repairable(ledger, ("shop", "idle turn", name))
    assert ledger.turn() is None
    assert run_to_end(ledger, waiter)


def test_an_alarm_of_a_turn_that_nobody_has_is_cleared(ledger: LedgerHarness) -> None:
    ledger.store.zadd("hg:turns", {"shop": 1})
    assert_repairable(ledger, ("shop", "turn of nobody", "hg:turns"))
    assert ledger.store.zcard("hg:turns") == 0


@pytest.mark.parametrize("holder", [None, "job_gone", "line"])
def test_who_works_without_the_turn_gets_it_back(
    ledger: LedgerHarness, queued_jobs: list[str], holder: str | None
) -> None:
    if holder is None:
        ledger.store.delete("hg:acct:shop:turn")
    else:
        ledger.store.set("hg:acct:shop:turn", queued_jobs[1] if holder == "line" else holder)
    found = {(each.id, each.problem) for each in diagnosis(ledger, repair=True)}
    assert (queued_jobs[0], "out of turn") in found
    assert (ledger.turn(), diagnosis(ledger), audit(ledger)) == (queued_jobs[0], [], [])
    assert all(run_to_end(ledger, job_id) for job_id in queued_jobs)


def test_two_who_work_at_once_are_named_until_one_has_ended(ledger: LedgerHarness) -> None:
    first = ledger.claim(ledger.add_job())
    ledger.store.delete("hg:acct:shop:turn")
    ledger.store.zrem("hg:turns", "shop")
    second = ledger.claim(ledger.add_job())
    assert_unrepairable(ledger, (first.id, "out of turn", "hg:acct:shop:turn"))
    assert ledger.finish(second)
    assert_repairable(ledger, (first.id, "out of turn", "hg:acct:shop:turn"))
