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
from tests.support.follower_rows import (
    PAGE,
    add_export,
    append_page,
    claim_and_append,
    rows,
    started_export,
)
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    alarm_ms,
    ledger_factory,
    limits,
    ms_of,
    now_ms,
    pace,
    pass_until,
    spent_ms,
)

MINUTE = 60 * SECOND
#: What a call is taken to last; here it takes no time.
CALL = 1_500


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def eta_in(ledger: LedgerHarness, job_id: str) -> int:
    """In how many ms the walk may have ended, as the API says it."""
    return ms_of(ledger.api_job(job_id)["progress"]["eta"]) - now_ms(ledger.store)


def begun_slowly(ledger: LedgerHarness, pages: int) -> str:
    """A walk of so many pages that has read one."""
    job_id = add_export(ledger)
    append_page(ledger, ledger.claim(job_id), (), "0", expected=pages * PAGE)
    claim, _ = next_claim(ledger, job_id)
    append_page(ledger, claim, rows(0, PAGE), "1", expected=pages * PAGE)
    return job_id


def next_claim(ledger: LedgerHarness, job_id: str) -> tuple[Any, int]:
    """Let time go by until the walk's turn comes: its claim, and how long that took."""
    passed = 0
    while ledger.record(job_id).status is not Status.QUEUED:
        rings = alarm_ms(ledger)
        assert rings is not None
        ahead = max(1, rings - now_ms(ledger.store))
        pass_until(ledger, rings)
        ledger.heartbeat()
        passed += ahead
    return ledger.claim(job_id), passed


def lasts(ledger: LedgerHarness, job_id: str, pages: int, expected: int) -> int:
    """Read the rest of a walk as fast as its account may; how long that took, in ms."""
    passed = 0
    for number in range(pages):
        claim, waited = next_claim(ledger, job_id)
        cursor = "" if number == pages - 1 else f"{number}"
        page = rows((number + 1) * PAGE, (number + 2) * PAGE)
        append_page(ledger, claim, page, cursor, expected=expected)
        passed += waited
    assert ledger.status(job_id) is Status.SUCCEEDED
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
def test_a_walk_ends_about_when_it_was_said_to(ledger_with: LedgerFactory, name: str) -> None:
    lookup, pages = PACES[name]
    ledger = ledger_with(shop=limits(lookup=lookup))
    expected = (pages + 1) * PAGE
    # Given a walk that has read its first page
    job_id = begun_slowly(ledger, pages + 1)
    told = eta_in(ledger, job_id)
    # When the rest goes as fast as it may
    lasted = lasts(ledger, job_id, pages, expected)
    # Then it was as long as was said, but for the calls and the luck of the gaps
    assert lasted * 0.9 - 30 * SECOND < told < lasted * 1.1 + pages * CALL + 30 * SECOND


def test_what_was_spent_before_the_walk_is_in_its_end(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(lookup=pace(per_hour=10)))
    # Given that six reads of the hour are spent
    first = started_export(ledger, 5, expected=7 * PAGE)
    assert len(spent_ms(ledger, "lookup")) == 6
    # When another walk has a page to read, and a third one three where two are left
    ledger.run(ledger.core.cancel(first, "test"))
    ledger.pass_time(10 * MINUTE)
    second = add_export(ledger)
    claim_and_append(ledger, second, (), "0", expected=PAGE)
    assert eta_in(ledger, second) < MINUTE
    third = add_export(ledger)
    ledger.run(ledger.core.cancel(second, "test"))
    claim_and_append(ledger, third, (), "0", expected=3 * PAGE)
    # Then the third waits for the hour of the first reads to be over
    assert 49 * MINUTE < eta_in(ledger, third) < 51 * MINUTE


def test_a_new_account_is_faster_once_its_first_days_are_over(ledger_with: LedgerFactory) -> None:
    lookup = DEFAULTS["lookup"]
    old = ledger_with(shop=limits(lookup=lookup))
    job_id = begun_slowly(old, 40 * 60)
    ordinary = eta_in(old, job_id)
    # Given the same account a day before its ramp ends: 480 pages, then 1,440 a day
    since = now_ms(old.store) - 13 * DAY
    young = ledger_with(shop=limits(lookup=lookup, since_ms=since))
    assert 0 < eta_in(young, job_id) - ordinary < DAY
    # And one whose ramp has just begun: 480 a day, five days for 2,400
    newborn = ledger_with(shop=limits(lookup=lookup, since_ms=now_ms(old.store)))
    assert 4 * DAY < eta_in(newborn, job_id) < 6 * DAY


def test_a_rest_is_in_the_end_and_a_hold_has_none(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(lookup=pace((4, 4))))
    job_id = begun_slowly(ledger, 10)
    assert eta_in(ledger, job_id) < MINUTE
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    claim, _ = next_claim(ledger, job_id)
    ledger.release(claim, Status.WAITING, charge="free", effect=rest)
    assert HOUR < eta_in(ledger, job_id) < HOUR + MINUTE
    # When a person must act
    ledger.run(ledger.controls.pause("shop"))
    assert ledger.api_job(job_id)["progress"]["eta"] is None


def test_a_walk_that_was_tried_in_vain_does_not_end_before_it_is_tried_again(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1, expected=400)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=30 * MINUTE)
    assert 30 * MINUTE - SLACK <= eta_in(ledger, job_id) < 31 * MINUTE


def test_progress_tells_pages_users_what_is_expected_and_the_limit(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger, max_rows=250)
    nothing = {"pages": 0, "users": 0, "expected": None, "limit": 250, "eta": None}
    assert ledger.api_job(job_id)["progress"] == nothing
    claim_and_append(ledger, job_id, (), "0", expected=1_000)
    claim_and_append(ledger, job_id, rows(0, 200), "1", expected=1_000)
    shown = ledger.api_job(job_id)["progress"]
    assert shown | {"eta": None} == {
        "pages": 1,
        "users": 200,
        "expected": 250,
        "limit": 250,
        "eta": None,
    }
    assert shown["eta"] is not None


def test_jobs_that_do_not_walk_have_no_progress(ledger: LedgerHarness) -> None:
    assert "progress" not in ledger.api_job(ledger.add_job())


# -- which account


def readers(left: dict[str, int]) -> dict[str, AccountLimits]:
    """Accounts that may read so many times in an hour."""
    return {name: limits(lookup=pace(per_hour=most)) for name, most in left.items()}


def test_the_account_with_most_of_its_budget_left_walks(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(**readers({"a": 5, "b": 9, "c": 7}))
    job_id = add_export(ledger, account="", candidate_accounts=("a", "b", "c"))
    assert ledger.record(job_id).account == "b"
    # Given that it has read five times
    for number in range(5):
        page = rows(number * PAGE, (number + 1) * PAGE) if number else ()
        claim_and_append(ledger, job_id, page, f"{number}")
    assert (
        ledger.record(add_export(ledger, account="", candidate_accounts=("a", "b", "c"))).account
        == "c"
    )


def test_a_held_account_walks_only_where_there_is_no_other(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(**readers({"a": 5, "b": 9}))
    ledger.run(ledger.controls.pause("b"))
    assert (
        ledger.record(add_export(ledger, account="", candidate_accounts=("a", "b"))).account == "a"
    )
    ledger.run(ledger.controls.pause("a"))
    waiting = add_export(ledger, account="", candidate_accounts=("a", "b"))
    assert ledger.record(waiting).account == "a"
    assert ledger.status(waiting) is Status.HELD


# -- other releases


def test_a_walk_that_an_older_release_has_put_in_line_goes_on(ledger: LedgerHarness) -> None:
    # Given a walk that waits, in a lane of its kind's name, where an older release put it
    holder = ledger.claim(ledger.add_job())
    job_id = add_export(ledger)
    line = "hg:acct:shop:line"
    score: Any = ledger.store.zscore(f"{line}:walk", job_id)
    ledger.store.zrem(f"{line}:walk", job_id)
    ledger.store.zadd(f"{line}:followers", {job_id: score})
    ledger.store.hset(f"hg:job:{job_id}", "lane", "followers")
    ledger.store.sadd("hg:acct:shop:lanes", "followers")
    # When its turn comes
    ledger.take_messages()
    assert ledger.finish(holder)
    # Then it walks, at its budget
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, (), "0") == "more"
    assert len(spent_ms(ledger, "lookup")) == 1


def test_a_record_without_what_this_release_has_added_walks(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    ledger.store.hdel(f"hg:job:{job_id}", "barren", "paged", "eta")
    assert claim_and_append(ledger, job_id, (), "0") == "more"
    assert claim_and_append(ledger, job_id, rows(0, 10)) == "succeeded"


@pytest.mark.parametrize("kind", ["followers", "lookup"])
def test_what_only_reads_is_in_no_doubt_after_a_failover(ledger: LedgerHarness, kind: str) -> None:
    job_id = add_export(ledger, kind=kind)
    ledger.claim(job_id)
    # Given a store that goes on with another's history: here that of nobody
    ledger.store.set("hg:replid", "0" * 40)
    ledger.heartbeat()
    assert ledger.store.get("hg:replid") != b"0" * 40
    assert ledger.record(job_id).intent_ms == 0
    # And a doubt that an older release has noted
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    ledger.store.hset(f"hg:job:{job_id}", "intent_at", 1)
    assert ledger.claim(job_id, "other").verify_first is False
