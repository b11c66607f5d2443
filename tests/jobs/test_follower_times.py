"""How far a walk is, when it may have ended, and which account walks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.config.pacing import DEFAULTS
from service.jobs.claims import AccountEffect
from service.jobs.lua.limits import AccountLimits
from service.jobs.model import Status
from tests.support.followers import PAGE, begun, give, rows, step, walk
from tests.support.ledgers import DAY, HOUR, SECOND, TIMES, Books
from tests.support.pacing import (
    SLACK,
    Opener,
    alarm,
    ledgers,
    ms_of,
    now_ms,
    pace,
    pass_until,
    spent,
    terms,
)

MINUTE = 60 * SECOND
#: What a call is taken to last; here it takes no time.
CALL = 1_500


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def eta_in(books: Books, job_id: str) -> int:
    """In how many ms the walk may have ended, as the API says it."""
    return ms_of(books.shown(job_id)["progress"]["eta"]) - now_ms(books.store)


def begun_slowly(books: Books, pages: int) -> str:
    """A walk of so many pages that has read one."""
    job_id = walk(books)
    give(books, books.claim(job_id), (), "0", expected=pages * PAGE)
    claim, _ = next_claim(books, job_id)
    give(books, claim, rows(0, PAGE), "1", expected=pages * PAGE)
    return job_id


def next_claim(books: Books, job_id: str) -> tuple[Any, int]:
    """Let time go by until the walk's turn comes: its claim, and how long that took."""
    passed = 0
    while books.record(job_id).status is not Status.QUEUED:
        rings = alarm(books)
        assert rings is not None
        ahead = max(1, rings - now_ms(books.store))
        pass_until(books, rings)
        books.tick()
        passed += ahead
    return books.claim(job_id), passed


def lasts(books: Books, job_id: str, pages: int, expected: int) -> int:
    """Read the rest of a walk as fast as its account may; how long that took, in ms."""
    passed = 0
    for number in range(pages):
        claim, waited = next_claim(books, job_id)
        cursor = "" if number == pages - 1 else f"{number}"
        page = rows((number + 1) * PAGE, (number + 2) * PAGE)
        give(books, claim, page, cursor, expected=expected)
        passed += waited
    assert books.status(job_id) is Status.SUCCEEDED
    return passed


#: How fast, and how many pages: within a burst, over hours, over days.
PACES = {
    "the gap": (pace((4, 6)), 13),
    "the hour has just room": (pace((4, 6), per_hour=15), 13),
    "the hour": (pace((4, 6), per_hour=10), 35),
    "the day": (pace((1, 1), per_hour=20, per_day=30), 75),
    "the defaults": (DEFAULTS["lookup"], 130),
    "long gaps": (pace((120, 240), per_hour=100), 20),
}


@pytest.mark.parametrize("name", PACES)
def test_a_walk_ends_about_when_it_was_said_to(opened: Opener, name: str) -> None:
    lookup, pages = PACES[name]
    books = opened(shop=terms(lookup=lookup))
    expected = (pages + 1) * PAGE
    # Given a walk that has read its first page
    job_id = begun_slowly(books, pages + 1)
    told = eta_in(books, job_id)
    # When the rest goes as fast as it may
    lasted = lasts(books, job_id, pages, expected)
    # Then it was as long as was said, but for the calls and the luck of the gaps
    assert lasted * 0.9 - 30 * SECOND < told < lasted * 1.1 + pages * CALL + 30 * SECOND


def test_what_was_spent_before_the_walk_is_in_its_end(opened: Opener) -> None:
    books = opened(shop=terms(lookup=pace(per_hour=10)))
    # Given that six reads of the hour are spent
    first = begun(books, 5, expected=7 * PAGE)
    assert len(spent(books, "lookup")) == 6
    # When another walk has a page to read, and a third one three where two are left
    books.run(books.ledger.cancel(first, "test"))
    books.pass_time(10 * MINUTE)
    second = walk(books)
    step(books, second, (), "0", expected=PAGE)
    assert eta_in(books, second) < MINUTE
    third = walk(books)
    books.run(books.ledger.cancel(second, "test"))
    step(books, third, (), "0", expected=3 * PAGE)
    # Then the third waits for the hour of the first reads to be over
    assert 49 * MINUTE < eta_in(books, third) < 51 * MINUTE


def test_a_new_account_is_faster_once_its_first_days_are_over(opened: Opener) -> None:
    lookup = DEFAULTS["lookup"]
    old = opened(shop=terms(lookup=lookup))
    job_id = begun_slowly(old, 40 * 60)
    ordinary = eta_in(old, job_id)
    # Given the same account a day before its ramp ends: 480 pages, then 1,440 a day
    since = now_ms(old.store) - 13 * DAY
    young = opened(shop=terms(lookup=lookup, since_ms=since))
    assert 0 < eta_in(young, job_id) - ordinary < DAY
    # And one whose ramp has just begun: 480 a day, five days for 2,400
    newborn = opened(shop=terms(lookup=lookup, since_ms=now_ms(old.store)))
    assert 4 * DAY < eta_in(newborn, job_id) < 6 * DAY


def test_a_rest_is_in_the_end_and_a_hold_has_none(opened: Opener) -> None:
    books = opened(shop=terms(lookup=pace((4, 4))))
    job_id = begun_slowly(books, 10)
    assert eta_in(books, job_id) < MINUTE
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    claim, _ = next_claim(books, job_id)
    books.release(claim, Status.WAITING, charge="free", effect=rest)
    assert HOUR < eta_in(books, job_id) < HOUR + MINUTE
    # When a person must act
    books.run(books.doors.pause("shop"))
    assert books.shown(job_id)["progress"]["eta"] is None


def test_a_walk_that_was_tried_in_vain_does_not_end_before_it_is_tried_again(
    books: Books,
) -> None:
    job_id = begun(books, 1, expected=400)
    books.release(books.claim(job_id), Status.WAITING, after_ms=30 * MINUTE)
    assert 30 * MINUTE - SLACK <= eta_in(books, job_id) < 31 * MINUTE


def test_progress_tells_pages_users_what_is_expected_and_the_limit(books: Books) -> None:
    job_id = walk(books, max_rows=250)
    nothing = {"pages": 0, "users": 0, "expected": None, "limit": 250, "eta": None}
    assert books.shown(job_id)["progress"] == nothing
    step(books, job_id, (), "0", expected=1_000)
    step(books, job_id, rows(0, 200), "1", expected=1_000)
    shown = books.shown(job_id)["progress"]
    assert shown | {"eta": None} == {
        "pages": 1,
        "users": 200,
        "expected": 250,
        "limit": 250,
        "eta": None,
    }
    assert shown["eta"] is not None


def test_jobs_that_do_not_walk_have_no_progress(books: Books) -> None:
    assert "progress" not in books.shown(books.job())


# -- which account


def readers(left: dict[str, int]) -> dict[str, AccountLimits]:
    """Accounts that may read so many times in an hour."""
    return {name: terms(lookup=pace(per_hour=most)) for name, most in left.items()}


def test_the_account_with_most_of_its_budget_left_walks(opened: Opener) -> None:
    books = opened(**readers({"a": 5, "b": 9, "c": 7}))
    job_id = walk(books, account="", candidate_accounts=("a", "b", "c"))
    assert books.record(job_id).account == "b"
    # Given that it has read five times
    for number in range(5):
        page = rows(number * PAGE, (number + 1) * PAGE) if number else ()
        step(books, job_id, page, f"{number}")
    assert books.record(walk(books, account="", candidate_accounts=("a", "b", "c"))).account == "c"


def test_a_held_account_walks_only_where_there_is_no_other(opened: Opener) -> None:
    books = opened(**readers({"a": 5, "b": 9}))
    books.run(books.doors.pause("b"))
    assert books.record(walk(books, account="", candidate_accounts=("a", "b"))).account == "a"
    books.run(books.doors.pause("a"))
    waiting = walk(books, account="", candidate_accounts=("a", "b"))
    assert books.record(waiting).account == "a"
    assert books.status(waiting) is Status.HELD


# -- other releases


def test_a_walk_that_an_older_release_has_put_in_line_goes_on(books: Books) -> None:
    # Given a walk that waits, in a lane of its kind's name, where an older release put it
    holder = books.claim(books.job())
    job_id = walk(books)
    line = "hg:acct:shop:line"
    score: Any = books.store.zscore(f"{line}:walk", job_id)
    books.store.zrem(f"{line}:walk", job_id)
    books.store.zadd(f"{line}:followers", {job_id: score})
    books.store.hset(f"hg:job:{job_id}", "lane", "followers")
    books.store.sadd("hg:acct:shop:lanes", "followers")
    # When its turn comes
    books.wakeups()
    assert books.finish(holder)
    # Then it walks, at its budget
    assert books.wakeups() == [job_id]
    assert step(books, job_id, (), "0") == "more"
    assert len(spent(books, "lookup")) == 1


def test_a_record_without_what_this_release_has_added_walks(books: Books) -> None:
    job_id = walk(books)
    books.store.hdel(f"hg:job:{job_id}", "barren", "paged", "eta")
    assert step(books, job_id, (), "0") == "more"
    assert step(books, job_id, rows(0, 10)) == "succeeded"


@pytest.mark.parametrize("kind", ["followers", "lookup"])
def test_what_only_reads_is_in_no_doubt_after_a_failover(books: Books, kind: str) -> None:
    job_id = walk(books, kind=kind)
    books.claim(job_id)
    # Given a store that goes on with another's history: here that of nobody
    books.store.set("hg:replid", "0" * 40)
    books.tick()
    assert books.store.get("hg:replid") != b"0" * 40
    assert books.record(job_id).intent_ms == 0
    # And a doubt that an older release has noted
    books.pass_time(TIMES.lease + SECOND)
    books.tick()
    books.store.hset(f"hg:job:{job_id}", "intent_at", 1)
    assert books.claim(job_id, "other").verify_first is False
