"""One look-up for all who ask: who looks, what is kept of it, and what is told meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from service.config.pacing import Pace
from service.jobs.claims import AccountEffect
from service.jobs.lua.limits import QuietHours
from service.jobs.model import Status
from tests.support.followers import walk
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, SECOND
from tests.support.lookups import Eyes, fail, land
from tests.support.pacing import Opener, gap_ends, pace, spent, terms

MINUTE = 60 * SECOND


def slow(per_hour: int = 60) -> Pace:
    return pace((3, 6), per_hour=per_hour, per_day=1000)


def found_of(store: redis.Redis, name: str) -> dict[bytes, bytes]:
    fields: Any = store.hgetall(f"hg:found:user:{name}")
    return dict(fields)


def test_all_who_ask_are_told_of_one_job(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    first = eyes.look("a")
    assert (first.value, first.problem, first.unavailable) == (None, None, None)
    assert {eyes.look("a").job_id for _ in range(3)} == {first.job_id}
    assert eyes.look("b").job_id != first.job_id
    assert eyes.see("a").job_id == first.job_id
    assert eyes.see("c").job_id is None
    assert audit(eyes.books) == []


def test_what_a_look_up_finds_is_everybodys_until_it_is_stale(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    job_id = eyes.begun("a")
    found = land(eyes.books, job_id)
    seen = eyes.look("a")
    assert seen.value is not None
    assert (json.loads(seen.value.body), seen.job_id) == (found, None)
    eyes.books.pass_time(300 * SECOND)
    again = eyes.look("a")
    assert again.value is not None
    assert again.value.body == seen.value.body
    assert again.value.age_ms >= 300 * SECOND
    assert again.job_id not in (None, job_id)
    assert audit(eyes.books) == []


def test_a_copy_and_its_look_up_are_forgotten_in_time(opened: Opener, store: redis.Redis) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    job_id = eyes.begun("a")
    land(eyes.books, job_id)
    # The job goes after a day, the copy after a week without another
    eyes.books.pass_time(DAY - SECOND)
    assert eyes.books.run(eyes.books.ledger.prune()) == 0
    eyes.books.pass_time(2 * SECOND)
    assert eyes.books.run(eyes.books.ledger.prune()) == 1
    assert eyes.books.run(eyes.books.reader.job(job_id)) is None
    assert eyes.see("a").value is not None
    eyes.books.pass_time(6 * DAY)
    assert found_of(store, "a") == {}
    assert audit(eyes.books) == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_failure_is_kept_for_a_minute_and_only_the_targets_own_takes_the_copy(
    opened: Opener, gone: bool
) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    land(eyes.books, eyes.begun("a"))
    eyes.books.pass_time(301 * SECOND)
    fail(eyes.books, eyes.begun("a"), "user_not_found" if gone else "timed_out")
    seen = eyes.look("a")
    assert (seen.value is None, seen.job_id) == (gone, None)
    assert seen.problem is not None
    assert 55 < seen.retry_seconds <= 60
    eyes.books.pass_time(MINUTE)
    assert eyes.look("a").job_id is not None


def test_the_next_look_up_that_succeeds_ends_a_failure(opened: Opener, store: redis.Redis) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    fail(eyes.books, eyes.begun("a"), "timed_out")
    assert 0 < store.pttl("hg:found:user:a") <= MINUTE
    eyes.books.pass_time(MINUTE)
    land(eyes.books, eyes.begun("a"))
    assert {name.decode() for name in found_of(store, "a")} == {"body", "etag", "at"}
    assert store.pttl("hg:found:user:a") > 6 * DAY


@pytest.mark.parametrize("how", ["canceled", "expired", "forgotten"])
def test_a_look_up_that_ends_otherwise_lets_the_next_one_begin(
    opened: Opener, store: redis.Redis, how: str
) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    eyes.begun("busy")
    job_id = eyes.begun("a")
    if how == "canceled":
        eyes.books.run(eyes.books.ledger.cancel(job_id, "test"))
    elif how == "expired":
        eyes.books.pass_time(5 * MINUTE)
        eyes.books.tick()
        assert eyes.books.status(job_id) is Status.EXPIRED
    else:
        store.delete(f"hg:job:{job_id}")
    assert (eyes.see("a").job_id, found_of(store, "a")) == (None, {})
    assert eyes.begun("a") != job_id


def test_a_worker_that_dies_leaves_the_look_up_to_another(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms(lookup=slow())), "eyes")
    job_id = eyes.begun("a")
    eyes.books.claim(job_id)
    eyes.books.pass_time(11 * SECOND)
    eyes.books.tick()
    assert eyes.see("a").job_id == job_id
    eyes.books.pass_time(10 * SECOND)
    eyes.books.tick()
    land(eyes.books, job_id)
    assert eyes.see("a").value is not None
    # Both calls may have been made
    assert len(spent(eyes.books, "lookup", "eyes")) == 2
    assert audit(eyes.books) == []


# Who looks


def test_a_look_up_is_charged_before_its_call_and_a_gap_follows_it(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms(lookup=slow())), "eyes")
    job_id = eyes.begun("a")
    assert spent(eyes.books, "lookup", "eyes") == []
    claim = eyes.books.claim(job_id)
    assert len(spent(eyes.books, "lookup", "eyes")) == 1
    # One that was never sent is given back
    step = eyes.books.claims.release(claim, Status.QUEUED, "r", charge="free", sent=False)
    eyes.books.run(step)
    assert (spent(eyes.books, "lookup", "eyes"), gap_ends(eyes.books, "lookup", "eyes")) == ([], 0)
    land(eyes.books, job_id)
    assert len(spent(eyes.books, "lookup", "eyes")) == 1
    assert gap_ends(eyes.books, "lookup", "eyes") > 0


def test_the_reader_with_most_left_looks_and_those_in_line_count(opened: Opener) -> None:
    few, many = terms(lookup=slow(3)), terms(lookup=slow(5))
    eyes = Eyes(opened(few=few, many=many, writer=terms()), "few", "many")
    looked = [eyes.look(f"u{number}") for number in range(20)]
    accounts = [eyes.books.record(each.job_id).account for each in looked if each.job_id]
    assert accounts[:2] == ["many", "many"]
    # One of each has its turn, and stands in no line
    assert (accounts.count("few"), accounts.count("many")) == (4, 6)
    assert [each.unavailable.reason for each in looked if each.unavailable] == [
        "lookup_per_hour"
    ] * 10
    assert audit(eyes.books) == []


@pytest.mark.parametrize("limits", [{}, {"lookup": slow(9)}], ids=["unlimited", "limited"])
def test_walks_in_a_row_are_shared_among_the_readers(opened: Opener, limits: Any) -> None:
    books = opened(**{name: terms(**limits) for name in ("a", "b", "c")})

    walks = [
        walk(books, to=f"user{number}", candidate_accounts=("a", "b", "c")) for number in range(6)
    ]

    # Whoever has a turn, or a walk in line, comes after who has none
    accounts = [books.record(job_id).account for job_id in walks]
    assert sorted(accounts[:3]) == ["a", "b", "c"]
    if limits:
        assert sorted(accounts[3:]) == ["a", "b", "c"]
    assert audit(books) == []


def test_where_all_have_done_enough_it_is_told_when_there_is_room(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms(lookup=slow(2))), "eyes")
    for name in ("a", "b"):
        land(eyes.books, eyes.begun(name))
        eyes.books.pass_time(10 * MINUTE)
        eyes.books.tick()
    shut = eyes.look("c").unavailable
    assert shut is not None
    assert (shut.reason, shut.since_ms) == ("lookup_per_hour", 0)
    # Room comes with the first of them
    assert shut.seconds == pytest.approx(HOUR / SECOND - 20 * 60, abs=5)
    eyes.books.pass_time(41 * MINUTE)
    assert eyes.look("c").job_id is not None


def test_of_those_that_are_shut_the_first_to_open_is_told(opened: Opener) -> None:
    books = opened(held=terms(), late=terms(), soon=terms())
    eyes = Eyes(books, "held", "late", "soon")
    rests = {"late": 2 * HOUR, "soon": HOUR}
    for name, ms in rests.items():
        effect = AccountEffect(cooldown="please_wait", cooldown_ms=ms)
        books.release(books.claim(books.job(account=name)), Status.WAITING, effect=effect)
    books.run(books.doors.pause("held"))
    shut = eyes.look("a").unavailable
    assert shut is not None
    assert shut.reason == "please_wait"
    assert shut.seconds == pytest.approx(3600, abs=5)
    # When only a person can open one of them
    for name in rests:
        books.run(books.doors.pause(name))
    shut = eyes.look("a").unavailable
    assert shut is not None
    assert (shut.reason, shut.seconds, shut.since_ms > 0) == ("paused", None, True)


def test_quiet_hours_are_for_writing(opened: Opener) -> None:
    always = QuietHours(0, 1439, "UTC")
    eyes = Eyes(opened(eyes=terms(quiet=always)), "eyes")
    assert eyes.look("a").job_id is not None


def test_a_look_up_goes_ahead_of_what_waits_to_be_written(opened: Opener) -> None:
    books = opened(shop=terms())
    eyes = Eyes(books, "shop")
    first, second = books.job(), books.job(priority=8)
    look = eyes.begun("a")
    books.finish(books.sending(first))
    assert books.turn() == look
    land(books, look)
    assert books.turn() == second


def test_a_look_up_before_a_shut_account_goes_to_one_that_is_open(opened: Opener) -> None:
    books = opened(eyes=terms(), ears=terms())
    eyes = Eyes(books, "eyes", "ears")
    busy = eyes.begun("busy")
    account = books.record(busy).account
    waiting = next(
        name
        for name in (f"u{n}" for n in range(9))
        if books.record(eyes.begun(name)).account == account
    )
    before = eyes.begun(waiting)
    books.run(books.doors.pause(account))
    seen = eyes.see(waiting)
    assert (seen.job_id, seen.unavailable is None) == (before, False)
    after = eyes.begun(waiting)
    assert books.record(after).account != account
    assert books.status(before) is Status.CANCELED
    assert audit(books) == []


def test_a_look_up_that_runs_is_waited_for_though_its_account_was_shut(opened: Opener) -> None:
    books = opened(eyes=terms(), ears=terms())
    eyes = Eyes(books, "eyes", "ears")
    job_id = eyes.begun("a")
    claim = books.claim(job_id)
    books.run(books.doors.pause(claim.job.account))
    assert (eyes.look("a").job_id, eyes.look("a").unavailable) == (job_id, None)


def test_a_repeated_look_up_tells_everybody_what_it_finds(opened: Opener) -> None:
    eyes = Eyes(opened(eyes=terms()), "eyes")
    job_id = eyes.begun("a")
    fail(eyes.books, job_id, "timed_out")
    assert eyes.books.run(eyes.books.ledger.retry(job_id, "test")) == "ok"
    found = land(eyes.books, job_id)
    seen = eyes.see("a")
    assert seen.value is not None
    assert (json.loads(seen.value.body), seen.problem) == (found, None)
