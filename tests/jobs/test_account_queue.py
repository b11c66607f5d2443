"""Account queues: one call at a time, the first eligible job first, and no job waits for ever."""

from __future__ import annotations

import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.claims import Claim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
COOL_ALL = AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=HOUR)
HOLD = AccountEffect(hold="challenge")


def test_one_job_of_an_account_runs_and_the_others_wait(ledger: LedgerHarness) -> None:
    first, second = ledger.add_job(), ledger.add_job()
    assert (ledger.status(first), ledger.status(second)) == (Status.QUEUED, Status.WAITING)
    assert (ledger.take_messages(), ledger.turn()) == ([first], first)

    assert ledger.try_claim(second) is None, "a stray wake-up cannot claim"
    ledger.finish(ledger.claim(first))
    assert (ledger.status(second), ledger.turn()) == (Status.QUEUED, second)
    assert ledger.take_messages() == [second]
    assert ledger.claim(second)
    assert audit(ledger) == []


def test_a_job_of_a_blocked_account_is_held_or_waits_at_once(ledger: LedgerHarness) -> None:
    # Given a paused account, and one in cooldown
    ledger.run(ledger.controls.pause("shop"))
    cooling = ledger.claim(ledger.add_job(account="studio"))
    ledger.release(cooling, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    ledger.take_messages()
    # When jobs become due, at once and after a delay
    held = [ledger.add_job(), ledger.add_job(delay_ms=SECOND)]
    waiting = [ledger.add_job(account="studio"), ledger.add_job(account="studio", delay_ms=SECOND)]
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    # Then none is woken, and each shows why
    assert ledger.take_messages() == []
    assert {ledger.status(job_id) for job_id in held} == {Status.HELD}
    assert {ledger.api_job(job_id)["wait"]["reason"] for job_id in held} == {"paused"}
    assert {ledger.status(job_id) for job_id in waiting} == {Status.WAITING}
    assert {ledger.api_job(job_id)["wait"]["reason"] for job_id in waiting} == {"slow_down"}
    assert audit(ledger) == []


def test_accounts_do_not_wait_for_each_other(ledger: LedgerHarness) -> None:
    assert ledger.claim(ledger.add_job(account="shop"))
    assert ledger.claim(ledger.add_job(account="studio"))


def test_the_queue_is_ordered_by_priority_and_then_by_age(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    low, first, second, high = (
        ledger.add_job(priority=0),
        ledger.add_job(priority=5),
        ledger.add_job(priority=5),
        ledger.add_job(priority=9),
    )
    assert ledger.take_messages() == [holder.id]

    ledger.finish(holder)

    assert ledger.run_all() == [high, first, second, low]
    assert ledger.turn() is None
    assert audit(ledger) == []


def test_priority_and_age_decide_between_kinds_as_well(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    low = ledger.add_job(priority=0)
    comment = ledger.add_job(kind="comment", post="Cx", priority=5)
    high = ledger.add_job(priority=9)
    later = ledger.add_job(kind="comment", post="Cx", priority=9)

    ledger.finish(holder)

    assert ledger.run_all() == [high, later, comment, low]


def test_a_new_job_does_not_overtake_waiting_ones(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    waiter = ledger.add_job()
    ledger.finish(holder)

    late = ledger.add_job(priority=9)
    assert ledger.try_claim(late) is None
    assert ledger.claim(waiter)


def test_a_new_job_does_not_overtake_waiting_ones_when_a_turn_expires(
    ledger: LedgerHarness,
) -> None:
    ledger.claim(ledger.add_job(), "dead")
    waiter = ledger.add_job()
    ledger.pass_time(TIMES.lease)

    assert ledger.status(ledger.add_job()) is Status.WAITING
    assert (ledger.status(waiter), ledger.turn()) == (Status.QUEUED, waiter)
    assert ledger.claim(waiter)
    assert audit(ledger) == []


def test_a_new_job_does_not_overtake_a_granted_one_without_any_heartbeat(
    ledger: LedgerHarness,
) -> None:
    # Given a granted job whose turn has expired, since no worker beats
    granted = ledger.add_job()
    ledger.pass_time(2 * TIMES.lease)
    # When a more urgent job is added, and a stray wake-up tries to claim it
    late = ledger.add_job(priority=9)
    assert ledger.try_claim(late) is None
    # Then the granted job still has the turn, and runs first
    assert (ledger.turn(), ledger.status(late)) == (granted, Status.WAITING)
    assert ledger.run_all() == [granted, late]
    assert audit(ledger) == []


def test_every_way_of_ending_a_turn_passes_it_on(ledger: LedgerHarness) -> None:
    for leave in (Status.WAITING, Status.HELD):
        account = f"to-{leave}"
        holder = ledger.claim(ledger.add_job(account=account))
        waiter = ledger.add_job(account=account)

        assert ledger.release(holder, leave, after_ms=HOUR) == "ok"

        assert ledger.turn(account) == waiter
        assert ledger.claim(waiter)
    assert audit(ledger) == []


@pytest.mark.parametrize("expires", [False, True])
def test_a_released_job_queues_like_any_other(ledger: LedgerHarness, expires: bool) -> None:
    holder = ledger.claim(ledger.add_job())
    behind, before = ledger.add_job(), ledger.add_job(priority=9)
    ledger.take_messages()

    # A job before it runs first
    _end_claim(ledger, holder, expires=expires)
    assert (ledger.turn(), ledger.take_messages()) == (before, [before])
    assert ledger.status(holder.id) is Status.WAITING
    ledger.finish(ledger.claim(before))

    # A job behind it does not, even if a wake-up tries to claim it
    _end_claim(ledger, ledger.claim(holder.id), expires=expires)
    assert (ledger.turn(), ledger.status(holder.id)) == (holder.id, Status.QUEUED)
    assert ledger.status(behind) is Status.WAITING
    assert ledger.try_claim(behind) is None
    assert ledger.run_all() == [holder.id, behind]
    assert audit(ledger) == []


def _end_claim(ledger: LedgerHarness, claim: Claim, *, expires: bool) -> None:
    """Release a claim, or let its lease expire; earlier wake-ups are dropped."""
    ledger.take_messages()
    if expires:
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    else:
        assert ledger.release(claim, Status.QUEUED) == "ok"


def test_an_unconfirmed_write_lets_others_run_and_then_queues_for_verification(
    ledger: LedgerHarness,
) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    waiter = ledger.add_job()
    ledger.release(unconfirmed, Status.SENDING, after_ms=5 * SECOND, charge="free")
    other = ledger.claim(waiter)
    ledger.take_messages()

    ledger.pass_time(5 * SECOND)
    assert ledger.try_claim(unconfirmed.id) is None
    assert ledger.status(unconfirmed.id) is Status.SENDING
    ledger.finish(other)

    assert ledger.take_messages() == [unconfirmed.id]
    assert ledger.claim(unconfirmed.id).verify_first
    assert audit(ledger) == []


def test_an_unclaimed_turn_is_kept_and_its_wake_up_repeated(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    first, behind = ledger.add_job(), ledger.add_job()
    ledger.finish(holder)
    late = ledger.add_job(priority=9)
    ledger.take_messages()

    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert (ledger.turn(), audit(ledger)) == (first, [])
        assert [ledger.status(job_id) for job_id in (behind, late)] == [Status.WAITING] * 2

    assert set(ledger.take_messages()) == {first}
    assert ledger.finish(ledger.claim(first))
    assert ledger.run_all() == [late, behind]


def test_a_turn_whose_job_was_lost_passes_to_the_next_job(ledger: LedgerHarness) -> None:
    lost, behind = ledger.add_job(), ledger.add_job()
    ledger.store.delete(f"hg:job:{lost}")

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert (ledger.turn(), ledger.status(behind)) == (behind, Status.QUEUED)


def test_an_expired_turn_is_free_even_before_a_heartbeat(ledger: LedgerHarness) -> None:
    ledger.claim(ledger.add_job(), "dead")
    ledger.pass_time(TIMES.lease)

    assert ledger.claim(ledger.add_job())
    assert audit(ledger) == []


def test_a_late_finish_does_not_take_the_turn_from_another_job(ledger: LedgerHarness) -> None:
    late = ledger.claim(ledger.add_job(), "late")
    ledger.pass_time(TIMES.lease)
    current = ledger.claim(ledger.add_job(), "current")

    assert ledger.finish(late, Status.FAILED)
    assert ledger.turn() == current.id
    assert ledger.record_intent(current) == "ok"
    assert audit(ledger) == []
