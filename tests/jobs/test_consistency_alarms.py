"""The examination: work that nothing leads to is found, woken in its time, and goes on."""

from __future__ import annotations

from typing import Final

import pytest

from service.jobs.claims import AccountEffect
from service.jobs.model import FINAL, Status
from tests.support.corruption import forget_alarms
from tests.support.health import lost, mended, work_off
from tests.support.invariants import audit, diagnosis
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, HOUR, TIMES, Books

UNENDED: Final = [status for status in Status if status not in FINAL]
#: What is neither claimed nor ended.
IDLE: Final = [each for each in UNENDED if each not in ("running", "sending")]


# -- what leads to work


@pytest.mark.parametrize("status", IDLE)
def test_work_that_nothing_leads_to_is_woken(books: Books, status: Status) -> None:
    job_id = job_in(books, status)
    forget_alarms(books, job_id)

    mended(books, (job_id, "unreachable", str(status)))

    assert work_off(books, job_id)


def test_a_held_job_whose_account_was_opened_by_nobody_knows_whom_is_woken(books: Books) -> None:
    job_id = job_in(books, Status.HELD)
    books.store.hdel("hg:acct:shop", "hold")
    mended(books, (job_id, "unreachable", "held"))
    books.tick()
    assert books.claim(job_id)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
def test_work_without_a_worker_is_taken_up(books: Books, status: Status) -> None:
    job_id = job_in(books, status)
    books.store.hset(f"hg:job:{job_id}", mapping={"owner": "", "lease": 0})
    forget_alarms(books, job_id)
    mended(books, (job_id, "unreachable", str(status)))
    assert work_off(books, job_id)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.WAITING])
@pytest.mark.parametrize("who", ["doctor", "sweep"])
def test_what_is_meant_for_later_is_not_done_now(books: Books, status: Status, who: str) -> None:
    job_id = job_in(books, status)
    forget_alarms(books, job_id)
    assert diagnosis(books, repair=True) if who == "doctor" else books.sweep()

    books.tick()
    assert (books.wakeups(), books.status(job_id)) == ([], status)
    books.pass_time(HOUR)
    for _ in range(2):
        books.tick()
    assert books.wakeups() == [job_id]


def test_a_write_that_may_have_happened_is_looked_up_once_it_has_settled(books: Books) -> None:
    job_id = job_in(books, Status.SENDING)
    books.store.hset(f"hg:job:{job_id}", mapping={"owner": "", "lease": 0})
    forget_alarms(books, job_id)
    diagnosis(books, repair=True)

    books.tick()
    assert books.wakeups() == []
    books.pass_time(TIMES.settle)
    books.tick()
    assert books.wakeups() == [job_id]


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
@pytest.mark.parametrize("harm", ["gone", "late"])
def test_a_claim_that_would_never_lapse_lapses_again(
    books: Books, status: Status, harm: str
) -> None:
    job_id = job_in(books, status)
    if harm == "gone":
        books.store.zrem("hg:leases", job_id)
    else:
        books.store.zincrby("hg:leases", DAY, job_id)
    mended(books, (job_id, "never lapses", "hg:leases"))
    assert work_off(books, job_id)


@pytest.mark.parametrize("status", IDLE)
def test_a_job_that_would_never_expire_does(books: Books, status: Status) -> None:
    job_id = job_in(books, status, expires_ms=2 * HOUR)
    books.store.zrem("hg:expiry", job_id)
    mended(books, (job_id, "never expires", "hg:expiry"))
    books.wakeups()
    books.pass_time(3 * HOUR)
    for index in ("hg:due", "hg:wakes"):
        books.store.zrem(index, job_id)
    books.tick()
    assert books.status(job_id) is Status.EXPIRED


# -- turns and lines


@pytest.fixture
def line(books: Books) -> list[str]:
    """A job that works, and two that wait for their turn, in order."""
    jobs = [books.job() for _ in range(3)]
    books.claim(jobs[0])
    books.wakeups()
    return jobs


def _lose_turn(books: Books) -> None:
    books.store.zrem("hg:turns", "shop")
    books.store.delete("hg:acct:shop:turn")


def test_a_line_without_a_turn_moves_again(books: Books, line: list[str]) -> None:
    # Given a turn that was lost when it came to a job that ended before it was begun
    books.finish(books.claim(line[0]))
    _lose_turn(books)
    assert books.run(books.ledger.cancel(line[1], "api:test")) == "ok"
    books.wakeups()

    mended(books, ("shop", "stuck line", "hg:acct:shop:line"))

    assert (books.wakeups(), books.turn()) == ([line[2]], line[2])
    assert work_off(books, line[2])


def test_a_line_that_waits_for_a_door_without_an_alarm_moves_again(
    books: Books, line: list[str]
) -> None:
    cooling = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
    books.release(books.claim(line[0]), Status.WAITING, effect=cooling)
    books.store.delete("hg:alarms")

    mended(books, ("shop", "stuck line", "hg:acct:shop:line"))

    assert (books.wakeups(), books.turn()) == ([], None)
    books.pass_time(HOUR)
    books.tick()
    assert books.wakeups() == [line[0]]


def test_a_line_whose_worker_is_lost_with_its_turn_moves_again(
    books: Books, line: list[str]
) -> None:
    worker = line[0]
    books.store.hset(f"hg:job:{worker}", mapping={"owner": "", "lease": 0})
    books.store.zrem("hg:leases", worker)
    _lose_turn(books)
    assert {(each.id, each.problem) for each in diagnosis(books)} == {
        ("shop", "stuck line"),
        (worker, "unreachable"),
    }

    # Who is taken up again stands in the line, and that moves it.
    assert [each.problem for each in diagnosis(books, repair=True)] == ["unreachable"]

    assert (diagnosis(books), audit(books)) == ([], [])
    assert (books.wakeups(), books.turn()) == ([worker], worker)
    assert all(work_off(books, job_id) for job_id in line)


@pytest.mark.parametrize("harm", ["lane", "place"])
def test_who_stands_where_nobody_looks_is_woken(books: Books, line: list[str], harm: str) -> None:
    if harm == "lane":
        books.store.delete("hg:acct:shop:lanes")
    else:
        books.store.zrem("hg:acct:shop:line:dm_unknown", *line[1:])
    mended(books, *((job_id, "unreachable", "waiting") for job_id in line[1:]))
    assert all(work_off(books, job_id) for job_id in line)


def test_a_record_that_cannot_be_read_does_not_keep_the_turn(books: Books) -> None:
    broken, waiter = books.job(), books.job()
    books.store.hdel(f"hg:job:{broken}", "status")
    assert {(each.id, each.problem) for each in diagnosis(books, repair=True)} == {
        (broken, "broken record"),
        ("shop", "idle turn"),
    }
    lost(books, (broken, "broken record", "status"))
    assert books.turn() == waiter


def test_a_turn_that_would_never_end_ends(books: Books, line: list[str]) -> None:
    books.store.zrem("hg:turns", "shop")
    mended(books, ("shop", "endless turn", "hg:turns"))
    assert all(work_off(books, job_id) for job_id in line)


@pytest.mark.parametrize("holder", ["job_gone", "ended"])
def test_a_turn_that_nobody_uses_passes_on(books: Books, holder: str) -> None:
    done, waiter = job_in(books, Status.SUCCEEDED), books.job()
    books.wakeups()
    claim = books.claim(waiter)
    assert books.release(claim, Status.WAITING, after_ms=HOUR) == "ok"
    name = done if holder == "ended" else holder
    books.store.set("hg:acct:shop:turn", name)
    mended(books, ("shop", "idle turn", name))
    assert books.turn() is None
    assert work_off(books, waiter)


def test_an_alarm_of_a_turn_that_nobody_has_is_cleared(books: Books) -> None:
    books.store.zadd("hg:turns", {"shop": 1})
    mended(books, ("shop", "turn of nobody", "hg:turns"))
    assert books.store.zcard("hg:turns") == 0


@pytest.mark.parametrize("holder", [None, "job_gone", "line"])
def test_who_works_without_the_turn_gets_it_back(
    books: Books, line: list[str], holder: str | None
) -> None:
    if holder is None:
        books.store.delete("hg:acct:shop:turn")
    else:
        books.store.set("hg:acct:shop:turn", line[1] if holder == "line" else holder)
    found = {(each.id, each.problem) for each in diagnosis(books, repair=True)}
    assert (line[0], "out of turn") in found
    assert (books.turn(), diagnosis(books), audit(books)) == (line[0], [], [])
    assert all(work_off(books, job_id) for job_id in line)


def test_two_who_work_at_once_are_named_until_one_has_ended(books: Books) -> None:
    first = books.claim(books.job())
    books.store.delete("hg:acct:shop:turn")
    books.store.zrem("hg:turns", "shop")
    second = books.claim(books.job())
    lost(books, (first.id, "out of turn", "hg:acct:shop:turn"))
    assert books.finish(second)
    mended(books, (first.id, "out of turn", "hg:acct:shop:turn"))
