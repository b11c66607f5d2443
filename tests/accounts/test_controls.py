"""Doors: people pause and resume accounts, and see what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from service.jobs.claims import AccountEffect
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import HOUR, Books, opened_books

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)


@pytest.fixture
def books(store: redis.Redis, store_url: str) -> Iterator[Books]:
    assert store.dbsize() == 0
    with opened_books(store_url) as books:
        yield books


def _pause(books: Books, account: str = "shop") -> None:
    books.run(books.doors.pause(account))


def _resume(books: Books, account: str = "shop") -> int:
    return books.run(books.doors.resume(account))


def test_an_account_nobody_used_is_active(books: Books) -> None:
    assert books.run(books.doors.show("shop")) == {
        "name": "shop",
        "status": "active",
        "hold": None,
        "paused_everywhere": False,
        "paused_kinds": [],
        "cooldowns": [],
        "quiet_until": None,
        "budgets": {},
        "jobs": {"in_line": 0, "held": 0, "turn": None},
    }


def test_a_paused_account_keeps_its_jobs_until_it_is_resumed(books: Books) -> None:
    _pause(books)
    jobs = [books.job() for _ in range(3)]
    assert books.wakeups() == []

    shown = books.run(books.doors.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("paused", "paused")
    since = datetime.fromisoformat(shown["hold"]["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    assert shown["jobs"] == {"in_line": 0, "held": 3, "turn": None}

    assert _resume(books) == 3
    assert books.work_off() == jobs, "in the order they came"
    assert books.run(books.doors.show("shop"))["status"] == "active"
    assert audit(books) == []


def test_a_pause_lets_a_write_that_began_go_on_and_stops_what_is_next(books: Books) -> None:
    writing, waiter = books.sending(books.job()), books.job()

    _pause(books)
    assert books.finish(writing)

    assert books.status(waiter) is Status.HELD
    assert audit(books) == []


def test_a_pause_leaves_other_accounts_alone(books: Books) -> None:
    _pause(books)

    assert books.claim(books.job(account="studio"))


def test_a_resume_ends_a_hold_that_an_error_brought(books: Books) -> None:
    claim = books.claim(books.job())
    books.release(claim, Status.HELD, charge="free", effect=AccountEffect(hold="challenge"))
    shown = books.run(books.doors.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("held", "challenge")

    assert _resume(books) == 1
    assert books.claim(claim.id)


def test_a_resume_ends_cooldowns_and_wakes_what_waited_for_them(books: Books) -> None:
    claim, other = books.claim(books.job()), books.job()
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    books.wakeups()
    shown = books.run(books.doors.show("shop"))
    assert shown["status"] == "cooling_down"
    [cooldown] = shown["cooldowns"]
    assert (cooldown["kind"], cooldown["reason"]) == ("dm", "slow_down")

    _resume(books)
    assert books.run(books.doors.show("shop"))["status"] == "active"
    assert books.work_off() == [claim.id, other]
    assert audit(books) == []


def test_a_cooldown_that_is_over_is_not_shown(books: Books) -> None:
    claim = books.claim(books.job())
    books.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    books.pass_time(HOUR)

    assert books.run(books.doors.show("shop"))["status"] == "active"


def test_a_resume_lets_any_number_go(books: Books) -> None:
    _pause(books)
    jobs = books.many(230)
    assert books.wakeups() == []

    assert _resume(books) == 230
    assert audit(books) == []
    assert books.work_off() == jobs


def test_a_hold_that_comes_during_a_resume_stays(books: Books, store_url: str) -> None:
    _pause(books)
    books.many(230)

    with redis.Redis.from_url(store_url) as other:
        calls = _hold_after_first_batch(books, other)

    assert calls == 2
    shown = books.run(books.doors.show("shop"))
    assert (shown["status"], shown["jobs"]["held"]) == ("held", 205)
    assert audit(books) == []


def _hold_after_first_batch(books: Books, other: redis.Redis) -> int:
    """Resume, while an error puts the account on hold after the first batch; the batches."""
    scripts = books.doors._scripts  # stands between two of its round trips
    calls = 0

    async def between(name: str, *args: str | bytes | float) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            other.hset("hg:acct:shop", mapping={"hold": "challenge", "hold_since": "1"})
        return await type(scripts).run(scripts, name, *args)

    scripts.run = between  # type: ignore[method-assign]
    _resume(books)
    return calls


def test_pausing_twice_and_resuming_twice_do_no_harm(books: Books) -> None:
    job_id = job_in(books, Status.HELD)
    _pause(books)

    assert (_resume(books), _resume(books)) == (1, 0)
    assert books.claim(job_id)


def test_a_job_that_ended_while_held_is_not_let_go(books: Books) -> None:
    job_id = job_in(books, Status.HELD)
    books.run(books.ledger.cancel(job_id, "api:test"))

    assert _resume(books) == 0
    assert books.status(job_id) is Status.CANCELED


def test_a_look_up_that_waited_for_the_account_comes_with_the_resume(books: Books) -> None:
    # Given a write in doubt whose look-up found the account paused
    job_id = books.job()
    books.release(books.sending(job_id), Status.SENDING, charge="free")
    _pause(books)
    assert books.try_claim(job_id) is None
    # When somebody resumes it
    books.run(books.doors.resume("shop"))
    books.tick()
    # Then it is looked up at once
    assert books.claim(job_id).verify_first


def test_a_resume_allows_the_account_to_log_in_anew(books: Books) -> None:
    books.store.hset("hg:logins:shop", "again", 1)
    books.run(books.doors.resume("shop"))
    assert not books.store.exists("hg:logins:shop")


def test_a_pause_does_not_hide_what_an_error_has_held(books: Books) -> None:
    claim = books.claim(books.job())
    books.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    books.run(books.doors.pause("shop", "on holiday"))
    books.run(books.doors.pause("shop"))

    shown = books.run(books.doors.show("shop"))
    assert shown["status"] == "held"
    assert (shown["hold"]["reason"], shown["hold"]["note"]) == ("challenge_required", "on holiday")


def test_an_errors_hold_on_a_paused_account_is_shown_and_gives_the_pause_back(
    books: Books,
) -> None:
    claim = books.claim(books.job())
    books.run(books.doors.pause("shop", "lunch"))
    # When the job under way meets a challenge
    books.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    # Then that is what is shown, until a code has answered it
    held = books.run(books.doors.show("shop"))["hold"]
    assert (held["reason"], held["note"]) == ("challenge_required", None)
    books.run(books.doors.clear_verification_hold("shop", {"challenge_required"}))
    paused = books.run(books.doors.show("shop"))["hold"]
    assert (paused["reason"], paused["note"]) == ("paused", "lunch")
