"""The account's line: one call at a time, the first eligible first, and nobody waits for ever."""

from __future__ import annotations

import pytest

from service.jobs.claims import AccountEffect, Claim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import HOUR, SECOND, TIMES, Books

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
COOL_ALL = AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=HOUR)
HOLD = AccountEffect(hold="challenge")


def test_one_job_of_an_account_runs_and_the_others_stand_in_line(books: Books) -> None:
    first, second = books.job(), books.job()
    assert (books.status(first), books.status(second)) == (Status.QUEUED, Status.WAITING)
    assert (books.wakeups(), books.turn()) == ([first], first)

    assert books.try_claim(second) is None, "a stray wake-up gets nothing"
    books.finish(books.claim(first))
    assert (books.status(second), books.turn()) == (Status.QUEUED, second)
    assert books.wakeups() == [second]
    assert books.claim(second)
    assert audit(books) == []


def test_a_job_that_comes_to_a_shut_door_is_held_or_waits_at_once(books: Books) -> None:
    # Given one account that is paused, and one that cools down
    books.run(books.doors.pause("shop"))
    cooled = books.claim(books.job(account="studio"))
    books.release(cooled, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    books.wakeups()
    # When jobs come, now and from a delay
    held = [books.job(), books.job(delay_ms=SECOND)]
    waiting = [books.job(account="studio"), books.job(account="studio", delay_ms=SECOND)]
    books.pass_time(SECOND)
    books.tick()
    # Then nobody is rung for, and each says why
    assert books.wakeups() == []
    assert {books.status(job_id) for job_id in held} == {Status.HELD}
    assert {books.shown(job_id)["wait"]["reason"] for job_id in held} == {"paused"}
    assert {books.status(job_id) for job_id in waiting} == {Status.WAITING}
    assert {books.shown(job_id)["wait"]["reason"] for job_id in waiting} == {"slow_down"}
    assert audit(books) == []


def test_accounts_do_not_wait_for_each_other(books: Books) -> None:
    assert books.claim(books.job(account="shop"))
    assert books.claim(books.job(account="studio"))


def test_the_line_goes_by_priority_and_then_by_order(books: Books) -> None:
    holder = books.claim(books.job())
    low, first, second, high = (
        books.job(priority=0),
        books.job(priority=5),
        books.job(priority=5),
        books.job(priority=9),
    )
    assert books.wakeups() == [holder.id]

    books.finish(holder)

    assert books.work_off() == [high, first, second, low]
    assert books.turn() is None
    assert audit(books) == []


def test_a_newcomer_does_not_overtake_the_line(books: Books) -> None:
    holder = books.claim(books.job())
    waiter = books.job()
    books.finish(holder)

    late = books.job(priority=9)
    assert books.try_claim(late) is None
    assert books.claim(waiter)


def test_a_newcomer_does_not_overtake_the_line_of_a_lapsed_turn(books: Books) -> None:
    books.claim(books.job(), "dead")
    waiter = books.job()
    books.pass_time(TIMES.lease)

    assert books.status(books.job()) is Status.WAITING
    assert (books.status(waiter), books.turn()) == (Status.QUEUED, waiter)
    assert books.claim(waiter)
    assert audit(books) == []


def test_a_turn_is_given_on_by_every_way_of_ending_it(books: Books) -> None:
    for leave in (Status.WAITING, Status.HELD):
        account = f"to-{leave}"
        holder = books.claim(books.job(account=account))
        waiter = books.job(account=account)

        assert books.release(holder, leave, after_ms=HOUR) == "ok"

        assert books.turn(account) == waiter
        assert books.claim(waiter)
    assert audit(books) == []


@pytest.mark.parametrize("lapses", [False, True])
def test_a_job_given_back_stands_in_line_like_any_other(books: Books, lapses: bool) -> None:
    holder = books.claim(books.job())
    behind, before = books.job(), books.job(priority=9)
    books.wakeups()

    # The one before it goes first
    _give_back(books, holder, lapses=lapses)
    assert (books.turn(), books.wakeups()) == (before, [before])
    assert books.status(holder.id) is Status.WAITING
    books.finish(books.claim(before))

    # The one behind it does not, whoever asks
    _give_back(books, books.claim(holder.id), lapses=lapses)
    assert (books.turn(), books.status(holder.id)) == (holder.id, Status.QUEUED)
    assert books.status(behind) is Status.WAITING
    assert books.try_claim(behind) is None
    assert books.work_off() == [holder.id, behind]
    assert audit(books) == []


def _give_back(books: Books, claim: Claim, *, lapses: bool) -> None:
    """By who has it, or by the beat when its worker is dead; its own wake-ups are taken."""
    books.wakeups()
    if lapses:
        books.pass_time(TIMES.lease)
        books.tick()
    else:
        assert books.release(claim, Status.QUEUED) == "ok"


def test_a_write_in_doubt_lets_others_go_first_and_lines_up_for_its_look_up(books: Books) -> None:
    doubtful = books.sending(books.job())
    waiter = books.job()
    books.release(doubtful, Status.SENDING, after_ms=5 * SECOND, charge="free")
    other = books.claim(waiter)
    books.wakeups()

    books.pass_time(5 * SECOND)
    assert books.try_claim(doubtful.id) is None
    assert books.status(doubtful.id) is Status.SENDING
    books.finish(other)

    assert books.wakeups() == [doubtful.id]
    assert books.claim(doubtful.id).verify_first
    assert audit(books) == []


def test_a_granted_turn_that_nobody_claims_is_kept_and_rings_again(books: Books) -> None:
    holder = books.claim(books.job())
    first, behind = books.job(), books.job()
    books.finish(holder)
    late = books.job(priority=9)
    books.wakeups()

    for _ in range(3):
        books.pass_time(TIMES.lease)
        books.tick()
        assert (books.turn(), audit(books)) == (first, [])
        assert [books.status(each) for each in (behind, late)] == [Status.WAITING] * 2

    assert set(books.wakeups()) == {first}
    assert books.finish(books.claim(first))
    assert books.work_off() == [late, behind]


def test_a_turn_whose_job_was_lost_goes_to_the_next(books: Books) -> None:
    lost, behind = books.job(), books.job()
    books.store.delete(f"hg:job:{lost}")

    books.pass_time(TIMES.lease)
    books.tick()

    assert (books.turn(), books.status(behind)) == (behind, Status.QUEUED)


def test_a_lapsed_turn_is_free_even_before_the_pulse_sees_it(books: Books) -> None:
    books.claim(books.job(), "dead")
    books.pass_time(TIMES.lease)

    assert books.claim(books.job())
    assert audit(books) == []


def test_a_late_end_does_not_take_the_turn_from_another(books: Books) -> None:
    late = books.claim(books.job(), "late")
    books.pass_time(TIMES.lease)
    current = books.claim(books.job(), "current")

    assert books.finish(late, Status.FAILED)
    assert books.turn() == current.id
    assert books.intend(current) == "ok"
    assert audit(books) == []


def test_a_cooldown_of_one_kind_leaves_the_other_free(books: Books) -> None:
    message, other, comment = books.job(), books.job(), books.job(kind="comment", post="Cx")
    claim = books.claim(message)
    books.wakeups()

    books.release(claim, Status.WAITING, after_ms=HOUR, charge="free", effect=COOL_DM)
    assert books.work_off() == [comment]

    for place, job_id in enumerate((message, other)):
        wait = books.shown(job_id)["wait"]
        assert (wait["reason"], wait["position"]) == ("slow_down", place)
    books.pass_time(HOUR)
    books.tick()
    assert books.work_off() == [message, other]
    assert audit(books) == []


def test_a_cooldown_that_ends_wakes_one_job_and_lines_up_the_others(books: Books) -> None:
    jobs = [books.job(priority=number) for number in (0, 5, 9, 5)]
    claim = books.claim(jobs[0])
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)
    assert books.work_off() == []

    books.pass_time(HOUR)
    books.tick()

    assert books.wakeups() == [jobs[2]]
    books.finish(books.claim(jobs[2]))
    assert books.work_off() == [jobs[1], jobs[3], jobs[0]]
    assert audit(books) == []


def test_a_cooldown_of_the_account_stops_every_kind(books: Books) -> None:
    claim = books.claim(books.job())
    comment = books.job(kind="comment", post="Cx")
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    assert (books.turn(), books.wakeups()[1:]) == (None, [])
    for job_id in (claim.id, comment):
        assert books.shown(job_id)["wait"]["reason"] == "slow_down"


def test_a_shorter_cooldown_does_not_cut_a_longer_one_short(books: Books) -> None:
    late = books.claim(books.job(), "late")
    books.pass_time(TIMES.lease)
    current = books.claim(books.job(), "current")
    books.release(current, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    brief = AccountEffect(cooldown="brief", kind="*", cooldown_ms=SECOND)
    assert books.release(late, Status.WAITING, after_ms=SECOND, effect=brief) == "ok"

    [cooldown] = books.run(books.doors.show("shop"))["cooldowns"]
    assert cooldown["reason"] == "slow_down"


def test_a_hold_stops_the_whole_line_and_nothing_is_lost(books: Books) -> None:
    jobs = [books.job() for _ in range(4)]
    claim = books.claim(jobs[0])

    books.release(claim, Status.HELD, charge="free", effect=HOLD)
    assert books.work_off() == []
    later = books.job()
    assert books.work_off() == []

    assert {books.status(job_id) for job_id in [*jobs, later]} == {Status.HELD}
    assert audit(books) == []
    assert books.run(books.doors.resume("shop")) == 5
    assert books.work_off() == [*jobs, later]


def test_a_look_up_waits_while_nobody_may_use_the_account(books: Books) -> None:
    doubtful = books.sending(books.job())
    books.release(doubtful, Status.SENDING, after_ms=SECOND, charge="free", effect=HOLD)
    books.pass_time(SECOND)

    for _ in range(3):
        books.tick()
        assert books.try_claim(doubtful.id) is None
        assert books.status(doubtful.id) is Status.SENDING
        assert (books.turn(), audit(books)) == (None, [])
        books.pass_time(60 * SECOND)

    books.run(books.doors.resume("shop"))
    assert books.claim(doubtful.id).verify_first


def test_a_look_up_behind_a_shut_door_does_not_keep_its_place_in_line(books: Books) -> None:
    doubtful = books.sending(books.job())
    books.release(doubtful, Status.SENDING, charge="free")
    comment = books.claim(books.job(kind="comment", post="Cx"))
    assert books.try_claim(doubtful.id) is None, "it stands in line"
    until = str(comment.job.created_ms + HOUR)
    books.store.hset("hg:acct:shop", mapping={"cool:*": until, "cool_why:*": "slow_down"})

    assert books.try_claim(doubtful.id) is None
    books.finish(comment)

    assert books.turn() is None, "a turn it cannot use is not given to it"
    assert audit(books) == []
