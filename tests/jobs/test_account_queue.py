"""The account's line: one call at a time, the first eligible first, and nobody waits for ever."""

from __future__ import annotations

import pytest

from service.jobs.claims import AccountEffect, Claim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
COOL_ALL = AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=HOUR)
HOLD = AccountEffect(hold="challenge")


def test_one_job_of_an_account_runs_and_the_others_stand_in_line(ledger: LedgerHarness) -> None:
    first, second = ledger.add_job(), ledger.add_job()
    assert (ledger.status(first), ledger.status(second)) == (Status.QUEUED, Status.WAITING)
    assert (ledger.take_messages(), ledger.turn()) == ([first], first)

    assert ledger.try_claim(second) is None, "a stray wake-up gets nothing"
    ledger.finish(ledger.claim(first))
    assert (ledger.status(second), ledger.turn()) == (Status.QUEUED, second)
    assert ledger.take_messages() == [second]
    assert ledger.claim(second)
    assert audit(ledger) == []


def test_a_job_that_comes_to_a_shut_door_is_held_or_waits_at_once(ledger: LedgerHarness) -> None:
    # Given one account that is paused, and one that cools down
    ledger.run(ledger.controls.pause("shop"))
    cooled = ledger.claim(ledger.add_job(account="studio"))
    ledger.release(cooled, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    ledger.take_messages()
    # When jobs come, now and from a delay
    held = [ledger.add_job(), ledger.add_job(delay_ms=SECOND)]
    waiting = [ledger.add_job(account="studio"), ledger.add_job(account="studio", delay_ms=SECOND)]
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    # Then nobody is rung for, and each says why
    assert ledger.take_messages() == []
    assert {ledger.status(job_id) for job_id in held} == {Status.HELD}
    assert {ledger.api_job(job_id)["wait"]["reason"] for job_id in held} == {"paused"}
    assert {ledger.status(job_id) for job_id in waiting} == {Status.WAITING}
    assert {ledger.api_job(job_id)["wait"]["reason"] for job_id in waiting} == {"slow_down"}
    assert audit(ledger) == []


def test_accounts_do_not_wait_for_each_other(ledger: LedgerHarness) -> None:
    assert ledger.claim(ledger.add_job(account="shop"))
    assert ledger.claim(ledger.add_job(account="studio"))


def test_the_line_goes_by_priority_and_then_by_order(ledger: LedgerHarness) -> None:
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


def test_a_newcomer_does_not_overtake_the_line(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    waiter = ledger.add_job()
    ledger.finish(holder)

    late = ledger.add_job(priority=9)
    assert ledger.try_claim(late) is None
    assert ledger.claim(waiter)


def test_a_newcomer_does_not_overtake_the_line_of_a_lapsed_turn(ledger: LedgerHarness) -> None:
    ledger.claim(ledger.add_job(), "dead")
    waiter = ledger.add_job()
    ledger.pass_time(TIMES.lease)

    assert ledger.status(ledger.add_job()) is Status.WAITING
    assert (ledger.status(waiter), ledger.turn()) == (Status.QUEUED, waiter)
    assert ledger.claim(waiter)
    assert audit(ledger) == []


def test_a_turn_is_given_on_by_every_way_of_ending_it(ledger: LedgerHarness) -> None:
    for leave in (Status.WAITING, Status.HELD):
        account = f"to-{leave}"
        holder = ledger.claim(ledger.add_job(account=account))
        waiter = ledger.add_job(account=account)

        assert ledger.release(holder, leave, after_ms=HOUR) == "ok"

        assert ledger.turn(account) == waiter
        assert ledger.claim(waiter)
    assert audit(ledger) == []


@pytest.mark.parametrize("lapses", [False, True])
def test_a_job_given_back_stands_in_line_like_any_other(
    ledger: LedgerHarness, lapses: bool
) -> None:
    holder = ledger.claim(ledger.add_job())
    behind, before = ledger.add_job(), ledger.add_job(priority=9)
    ledger.take_messages()

    # The one before it goes first
    _give_back(ledger, holder, lapses=lapses)
    assert (ledger.turn(), ledger.take_messages()) == (before, [before])
    assert ledger.status(holder.id) is Status.WAITING
    ledger.finish(ledger.claim(before))

    # The one behind it does not, whoever asks
    _give_back(ledger, ledger.claim(holder.id), lapses=lapses)
    assert (ledger.turn(), ledger.status(holder.id)) == (holder.id, Status.QUEUED)
    assert ledger.status(behind) is Status.WAITING
    assert ledger.try_claim(behind) is None
    assert ledger.run_all() == [holder.id, behind]
    assert audit(ledger) == []


def _give_back(ledger: LedgerHarness, claim: Claim, *, lapses: bool) -> None:
    """By who has it, or by the beat when its worker is dead; its own wake-ups are taken."""
    ledger.take_messages()
    if lapses:
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    else:
        assert ledger.release(claim, Status.QUEUED) == "ok"


def test_a_write_in_doubt_lets_others_go_first_and_lines_up_for_its_look_up(
    ledger: LedgerHarness,
) -> None:
    doubtful = ledger.claim_and_send(ledger.add_job())
    waiter = ledger.add_job()
    ledger.release(doubtful, Status.SENDING, after_ms=5 * SECOND, charge="free")
    other = ledger.claim(waiter)
    ledger.take_messages()

    ledger.pass_time(5 * SECOND)
    assert ledger.try_claim(doubtful.id) is None
    assert ledger.status(doubtful.id) is Status.SENDING
    ledger.finish(other)

    assert ledger.take_messages() == [doubtful.id]
    assert ledger.claim(doubtful.id).verify_first
    assert audit(ledger) == []


def test_a_granted_turn_that_nobody_claims_is_kept_and_rings_again(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    first, behind = ledger.add_job(), ledger.add_job()
    ledger.finish(holder)
    late = ledger.add_job(priority=9)
    ledger.take_messages()

    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert (ledger.turn(), audit(ledger)) == (first, [])
        assert [ledger.status(each) for each in (behind, late)] == [Status.WAITING] * 2

    assert set(ledger.take_messages()) == {first}
    assert ledger.finish(ledger.claim(first))
    assert ledger.run_all() == [late, behind]


def test_a_turn_whose_job_was_lost_goes_to_the_next(ledger: LedgerHarness) -> None:
    lost, behind = ledger.add_job(), ledger.add_job()
    ledger.store.delete(f"hg:job:{lost}")

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert (ledger.turn(), ledger.status(behind)) == (behind, Status.QUEUED)


def test_a_lapsed_turn_is_free_even_before_the_pulse_sees_it(ledger: LedgerHarness) -> None:
    ledger.claim(ledger.add_job(), "dead")
    ledger.pass_time(TIMES.lease)

    assert ledger.claim(ledger.add_job())
    assert audit(ledger) == []


def test_a_late_end_does_not_take_the_turn_from_another(ledger: LedgerHarness) -> None:
    late = ledger.claim(ledger.add_job(), "late")
    ledger.pass_time(TIMES.lease)
    current = ledger.claim(ledger.add_job(), "current")

    assert ledger.finish(late, Status.FAILED)
    assert ledger.turn() == current.id
    assert ledger.record_intent(current) == "ok"
    assert audit(ledger) == []


def test_a_cooldown_of_one_kind_leaves_the_other_free(ledger: LedgerHarness) -> None:
    message, other, comment = (
        ledger.add_job(),
        ledger.add_job(),
        ledger.add_job(kind="comment", post="Cx"),
    )
    claim = ledger.claim(message)
    ledger.take_messages()

    ledger.release(claim, Status.WAITING, after_ms=HOUR, charge="free", effect=COOL_DM)
    assert ledger.run_all() == [comment]

    for place, job_id in enumerate((message, other)):
        wait = ledger.api_job(job_id)["wait"]
        assert (wait["reason"], wait["position"]) == ("slow_down", place)
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.run_all() == [message, other]
    assert audit(ledger) == []


def test_a_cooldown_that_ends_wakes_one_job_and_lines_up_the_others(ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job(priority=number) for number in (0, 5, 9, 5)]
    claim = ledger.claim(jobs[0])
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)
    assert ledger.run_all() == []

    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert ledger.take_messages() == [jobs[2]]
    ledger.finish(ledger.claim(jobs[2]))
    assert ledger.run_all() == [jobs[1], jobs[3], jobs[0]]
    assert audit(ledger) == []


def test_a_cooldown_of_the_account_stops_every_kind(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    comment = ledger.add_job(kind="comment", post="Cx")
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    assert (ledger.turn(), ledger.take_messages()[1:]) == (None, [])
    for job_id in (claim.id, comment):
        assert ledger.api_job(job_id)["wait"]["reason"] == "slow_down"


def test_a_shorter_cooldown_does_not_cut_a_longer_one_short(ledger: LedgerHarness) -> None:
    late = ledger.claim(ledger.add_job(), "late")
    ledger.pass_time(TIMES.lease)
    current = ledger.claim(ledger.add_job(), "current")
    ledger.release(current, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    brief = AccountEffect(cooldown="brief", kind="*", cooldown_ms=SECOND)
    assert ledger.release(late, Status.WAITING, after_ms=SECOND, effect=brief) == "ok"

    [cooldown] = ledger.run(ledger.controls.show("shop"))["cooldowns"]
    assert cooldown["reason"] == "slow_down"


def test_a_hold_stops_the_whole_line_and_nothing_is_lost(ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job() for _ in range(4)]
    claim = ledger.claim(jobs[0])

    ledger.release(claim, Status.HELD, charge="free", effect=HOLD)
    assert ledger.run_all() == []
    later = ledger.add_job()
    assert ledger.run_all() == []

    assert {ledger.status(job_id) for job_id in [*jobs, later]} == {Status.HELD}
    assert audit(ledger) == []
    assert ledger.run(ledger.controls.resume("shop")) == 5
    assert ledger.run_all() == [*jobs, later]


def test_a_look_up_waits_while_nobody_may_use_the_account(ledger: LedgerHarness) -> None:
    doubtful = ledger.claim_and_send(ledger.add_job())
    ledger.release(doubtful, Status.SENDING, after_ms=SECOND, charge="free", effect=HOLD)
    ledger.pass_time(SECOND)

    for _ in range(3):
        ledger.heartbeat()
        assert ledger.try_claim(doubtful.id) is None
        assert ledger.status(doubtful.id) is Status.SENDING
        assert (ledger.turn(), audit(ledger)) == (None, [])
        ledger.pass_time(60 * SECOND)

    ledger.run(ledger.controls.resume("shop"))
    assert ledger.claim(doubtful.id).verify_first


def test_a_look_up_behind_a_shut_door_does_not_keep_its_place_in_line(
    ledger: LedgerHarness,
) -> None:
    doubtful = ledger.claim_and_send(ledger.add_job())
    ledger.release(doubtful, Status.SENDING, charge="free")
    comment = ledger.claim(ledger.add_job(kind="comment", post="Cx"))
    assert ledger.try_claim(doubtful.id) is None, "it stands in line"
    until = str(comment.job.created_ms + HOUR)
    ledger.store.hset("hg:acct:shop", mapping={"cool:*": until, "cool_why:*": "slow_down"})

    assert ledger.try_claim(doubtful.id) is None
    ledger.finish(comment)

    assert ledger.turn() is None, "a turn it cannot use is not given to it"
    assert audit(ledger) == []
