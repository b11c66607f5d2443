"""The account's line: one call at a time, the first eligible first, and nobody waits for ever."""

from __future__ import annotations

from service.jobs.claims import AccountEffect
from service.jobs.model import Status
from tests.support.audit import audit
from tests.support.ledgers import HOUR, SECOND, TIMES, Books

COOL_DM = AccountEffect(cool="slow_down", kind="dm", cool_ms=HOUR)
COOL_ALL = AccountEffect(cool="slow_down", kind="*", cool_ms=HOUR)
HOLD = AccountEffect(hold="challenge")


def _work_off(books: Books) -> list[str]:
    """Do all the work the broker brings; the jobs in the order they were done."""
    done = []
    while woken := books.wakeups():
        for job_id in woken:
            claim = books.try_claim(job_id)
            if claim is not None:
                books.finish(claim)
                done.append(job_id)
    return done


def test_one_job_of_an_account_runs_and_the_others_stand_in_line(books: Books) -> None:
    first, second = books.job(), books.job()
    claim = books.claim(first)

    assert books.try_claim(second) is None
    assert (books.status(second), books.turn()) == (Status.WAITING, first)
    books.wakeups()

    books.finish(claim)
    assert (books.status(second), books.turn()) == (Status.QUEUED, second)
    assert books.wakeups() == [second]
    assert books.claim(second)
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
    for job_id in (low, second, high, first):
        assert books.try_claim(job_id) is None
    books.wakeups()

    books.finish(holder)

    assert _work_off(books) == [high, first, second, low]
    assert books.turn() is None
    assert audit(books) == []


def test_a_newcomer_does_not_overtake_the_line(books: Books) -> None:
    holder = books.claim(books.job())
    waiter = books.job()
    assert books.try_claim(waiter) is None
    books.finish(holder)

    late = books.job()
    assert books.try_claim(late) is None
    assert books.claim(waiter)


def test_a_newcomer_does_not_overtake_the_line_of_a_lapsed_turn(books: Books) -> None:
    books.claim(books.job(), "dead")
    waiter = books.job()
    assert books.try_claim(waiter) is None
    books.pass_time(TIMES.lease)

    assert books.try_claim(books.job()) is None
    assert books.turn() == waiter
    assert books.claim(waiter)
    assert audit(books) == []


def test_a_turn_is_given_on_by_every_way_of_ending_it(books: Books) -> None:
    for leave in (Status.QUEUED, Status.WAITING, Status.HELD):
        account = f"to-{leave}"
        holder = books.claim(books.job(account=account))
        waiter = books.job(account=account)
        assert books.try_claim(waiter) is None

        assert books.release(holder, leave, after_ms=HOUR) == "ok"

        assert books.turn(account) == waiter
        assert books.claim(waiter)
    assert audit(books) == []


def test_a_write_in_doubt_lets_others_go_first_and_lines_up_for_its_look_up(books: Books) -> None:
    doubtful = books.sending(books.job())
    waiter = books.job()
    assert books.try_claim(waiter) is None
    books.release(doubtful, Status.SENDING, after_ms=5 * SECOND, charge="free")
    other = books.claim(waiter)
    books.wakeups()

    books.pass_time(5 * SECOND)
    assert books.try_claim(doubtful.id) is None
    assert books.status(doubtful.id) is Status.SENDING
    books.finish(other)

    assert books.wakeups() == [doubtful.id]
    assert books.claim(doubtful.id).look_first
    assert audit(books) == []


def test_a_granted_turn_that_nobody_claims_goes_to_the_next(books: Books) -> None:
    holder = books.claim(books.job())
    gone, next_one = books.job(), books.job()
    for job_id in (gone, next_one):
        assert books.try_claim(job_id) is None
    books.finish(holder)
    assert books.turn() == gone
    books.wakeups()

    books.pass_time(TIMES.lease)
    books.tick()

    assert books.turn() == next_one
    assert books.claim(next_one, "worker")
    assert books.try_claim(gone) is None, "the one that missed its turn stands in line again"
    assert books.status(gone) is Status.WAITING
    assert audit(books) == []


def test_the_turn_of_a_dead_worker_goes_to_the_next(books: Books) -> None:
    dead = books.claim(books.job(), "dead")
    waiter = books.job()
    assert books.try_claim(waiter) is None

    books.pass_time(TIMES.lease)
    books.tick()

    assert books.claim(waiter)
    assert books.status(dead.id) is Status.QUEUED
    assert audit(books) == []


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
    for job_id in (other, comment):
        assert books.try_claim(job_id) is None
    books.wakeups()

    books.release(claim, Status.WAITING, after_ms=HOUR, charge="free", effect=COOL_DM)
    assert _work_off(books) == [comment]

    waiting = books.record(other)
    assert (waiting.status, waiting.wait_reason) == (Status.WAITING, "slow_down")
    assert 0 < waiting.wait_until_ms - books.record(message).wait_until_ms + SECOND <= SECOND
    books.pass_time(HOUR)
    books.tick()
    assert _work_off(books) == [message, other]
    assert audit(books) == []


def test_a_cooldown_that_ends_wakes_one_job_and_lines_up_the_others(books: Books) -> None:
    jobs = [books.job(priority=number) for number in (0, 5, 9, 5)]
    claim = books.claim(jobs[0])
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)
    assert _work_off(books) == []

    books.pass_time(HOUR)
    books.tick()

    assert books.wakeups() == [jobs[2]]
    books.finish(books.claim(jobs[2]))
    assert _work_off(books) == [jobs[1], jobs[3], jobs[0]]
    assert audit(books) == []


def test_a_cooldown_of_the_account_stops_every_kind(books: Books) -> None:
    claim = books.claim(books.job())
    comment = books.job(kind="comment", post="Cx")
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    assert books.try_claim(comment) is None
    assert books.record(comment).wait_reason == "slow_down"


def test_a_shorter_cooldown_does_not_cut_a_longer_one_short(books: Books) -> None:
    late = books.claim(books.job(), "late")
    books.pass_time(TIMES.lease)
    current = books.claim(books.job(), "current")
    books.release(current, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    brief = AccountEffect(cool="brief", kind="*", cool_ms=SECOND)
    assert books.release(late, Status.WAITING, after_ms=SECOND, effect=brief) == "ok"

    [cooldown] = books.run(books.doors.show("shop"))["cooldowns"]
    assert cooldown["reason"] == "slow_down"


def test_a_hold_stops_the_whole_line_and_nothing_is_lost(books: Books) -> None:
    jobs = [books.job() for _ in range(4)]
    claim = books.claim(jobs[0])
    for job_id in jobs[1:]:
        assert books.try_claim(job_id) is None

    books.release(claim, Status.HELD, charge="free", effect=HOLD)
    assert _work_off(books) == []
    later = books.job()
    assert _work_off(books) == []

    assert {books.status(job_id) for job_id in [*jobs, later]} == {Status.HELD}
    assert audit(books) == []
    assert books.run(books.doors.resume("shop")) == 5
    assert _work_off(books) == [*jobs, later]


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
    assert books.claim(doubtful.id).look_first


def test_a_look_up_behind_a_shut_door_does_not_keep_its_place_in_line(books: Books) -> None:
    doubtful = books.sending(books.job())
    books.release(doubtful, Status.SENDING, charge="free")
    comment = books.claim(books.job(kind="comment", post="Cx"))
    assert books.try_claim(doubtful.id) is None, "it stands in line"
    until = str(comment.job.created_ms + HOUR)
    books.store.hset("hg:acct:shop", mapping={"cool:dm": until, "cool_why:dm": "slow_down"})

    assert books.try_claim(doubtful.id) is None
    books.finish(comment)

    assert books.turn() is None, "a turn it cannot use is not given to it"
    assert audit(books) == []
