"""Follower exports: progress, estimated end, and the choice of the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.config.pacing import DEFAULTS
from service.jobs.account_effect import AccountEffect
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
#: The estimated duration of a call; here calls take no time.
CALL = 1_500


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def eta_in(ledger: LedgerHarness, job_id: str) -> int:
    """Milliseconds until the export may end, as the API estimates."""
    return ms_of(ledger.api_job(job_id)["progress"]["eta"]) - now_ms(ledger.store)


def export_with_one_page(ledger: LedgerHarness, pages: int) -> str:
    """An export of this many pages that has read one."""
    job_id = add_export(ledger)
    append_page(ledger, ledger.claim(job_id), (), "0", expected=pages * PAGE)
    claim, _ = next_claim(ledger, job_id)
    append_page(ledger, claim, rows(0, PAGE), "1", expected=pages * PAGE)
    return job_id


def next_claim(ledger: LedgerHarness, job_id: str) -> tuple[Any, int]:
    """Let time pass until the export's turn comes; its claim, and how long that took in ms."""
    passed = 0
    while ledger.record(job_id).status is not Status.QUEUED:
        alarm = alarm_ms(ledger)
        assert alarm is not None
        ahead = max(1, alarm - now_ms(ledger.store))
        pass_until(ledger, alarm)
        ledger.heartbeat()
        passed += ahead
    return ledger.claim(job_id), passed


def run_export(ledger: LedgerHarness, job_id: str, pages: int, expected: int) -> int:
    """Read the rest of an export as fast as its account may; how long that took, in ms."""
    passed = 0
    for number in range(pages):
        claim, waited = next_claim(ledger, job_id)
        cursor = "" if number == pages - 1 else f"{number}"
        page = rows((number + 1) * PAGE, (number + 2) * PAGE)
        append_page(ledger, claim, page, cursor, expected=expected)
        passed += waited
    assert ledger.status(job_id) is Status.SUCCEEDED
    return passed


#: Limits, and the number of pages: within a burst, over hours, over days.
LIMITS = {
    "the gap": (pace((4, 6)), 13),
    "the hour just suffices": (pace((4, 6), per_hour=15), 13),
    "the hour": (pace((4, 6), per_hour=10), 35),
    "the day": (pace((1, 1), per_hour=20, per_day=30), 75),
    "the defaults": (DEFAULTS["lookup"], 130),
    "long gaps": (pace((120, 240), per_hour=100), 20),
}


@pytest.mark.parametrize("name", LIMITS)
def test_an_export_ends_about_when_estimated(ledger_with: LedgerFactory, name: str) -> None:
    lookup, pages = LIMITS[name]
    ledger = ledger_with(shop=limits(lookup=lookup))
    expected = (pages + 1) * PAGE
    # Given an export that has read its first page
    job_id = export_with_one_page(ledger, pages + 1)
    estimate = eta_in(ledger, job_id)
    # When the rest is read as fast as allowed
    took = run_export(ledger, job_id, pages, expected)
    # Then it took as long as estimated, except for the calls and the randomness of the gaps
    assert took * 0.8 - 30 * SECOND < estimate < took * 1.25 + pages * CALL + 30 * SECOND


def test_the_estimate_includes_budget_spent_before(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(lookup=pace(per_hour=10)))
    # Given that six reads of the hour are used
    first = started_export(ledger, 5, expected=7 * PAGE)
    assert len(spent_ms(ledger, "lookup")) == 6
    # When a second export reads one page, and a third one needs three where two are left
    ledger.run(ledger.core.cancel(first, "test"))
    ledger.pass_time(10 * MINUTE)
    second = add_export(ledger)
    claim_and_append(ledger, second, (), "0", expected=PAGE)
    assert eta_in(ledger, second) < MINUTE
    third = add_export(ledger)
    ledger.run(ledger.core.cancel(second, "test"))
    claim_and_append(ledger, third, (), "0", expected=3 * PAGE)
    # Then the third waits until the first reads leave the window
    assert 49 * MINUTE < eta_in(ledger, third) < 51 * MINUTE


def test_the_estimate_includes_the_ramp_of_a_new_account(ledger_with: LedgerFactory) -> None:
    lookup = DEFAULTS["lookup"]
    normal = ledger_with(shop=limits(lookup=lookup))
    job_id = export_with_one_page(normal, 40 * 60)
    normal_eta = eta_in(normal, job_id)
    # Given the same account a day before its ramp ends: 480 pages, then 1,440 a day
    since = now_ms(normal.store) - 13 * DAY
    newer = ledger_with(shop=limits(lookup=lookup, since_ms=since))
    assert 0 < eta_in(newer, job_id) - normal_eta < DAY
    # And one whose ramp has just started: 480 a day, five days for 2,400
    newest = ledger_with(shop=limits(lookup=lookup, since_ms=now_ms(normal.store)))
    assert 4 * DAY < eta_in(newest, job_id) < 6 * DAY


def test_the_estimate_includes_a_cooldown_and_a_hold_has_none(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(lookup=pace((4, 4))))
    job_id = export_with_one_page(ledger, 10)
    assert eta_in(ledger, job_id) < MINUTE
    cooldown = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    claim, _ = next_claim(ledger, job_id)
    ledger.release(claim, Status.WAITING, charge="free", effect=cooldown)
    assert HOUR < eta_in(ledger, job_id) < HOUR + MINUTE
    # When the account is paused
    ledger.run(ledger.controls.pause("shop"))
    assert ledger.api_job(job_id)["progress"]["eta"] is None


def test_the_estimate_includes_the_wait_for_a_retry(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1, expected=400)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=30 * MINUTE)
    assert 30 * MINUTE - SLACK <= eta_in(ledger, job_id) < 31 * MINUTE


def test_progress_has_pages_users_expected_rows_and_the_limit(ledger: LedgerHarness) -> None:
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


def test_only_exports_have_progress(ledger: LedgerHarness) -> None:
    assert "progress" not in ledger.api_job(ledger.add_job())


# -- choice of the account


def accounts_with(budgets: dict[str, int]) -> dict[str, AccountLimits]:
    """Accounts that may read this many times per hour."""
    return {name: limits(lookup=pace(per_hour=budget)) for name, budget in budgets.items()}


def test_the_account_with_most_budget_left_is_picked(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(**accounts_with({"a": 5, "b": 9, "c": 7}))
    job_id = add_export(ledger, account="", candidate_accounts=("a", "b", "c"))
    assert ledger.record(job_id).account == "b"
    # Given that it has made five reads
    for number in range(5):
        page = rows(number * PAGE, (number + 1) * PAGE) if number else ()
        claim_and_append(ledger, job_id, page, f"{number}")
    assert (
        ledger.record(add_export(ledger, account="", candidate_accounts=("a", "b", "c"))).account
        == "c"
    )


def test_a_held_account_is_picked_only_without_an_alternative(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(**accounts_with({"a": 5, "b": 9}))
    ledger.run(ledger.controls.pause("b"))
    assert (
        ledger.record(add_export(ledger, account="", candidate_accounts=("a", "b"))).account == "a"
    )
    ledger.run(ledger.controls.pause("a"))
    waiting = add_export(ledger, account="", candidate_accounts=("a", "b"))
    assert ledger.record(waiting).account == "a"
    assert ledger.status(waiting) is Status.HELD


# -- other releases


def test_an_export_queued_by_an_older_release_continues(ledger: LedgerHarness) -> None:
    # Given a waiting export in the sub-queue named after its kind, where an older release put it
    holder = ledger.claim(ledger.add_job())
    job_id = add_export(ledger)
    queue = "hg:acct:shop:line"
    score: Any = ledger.store.zscore(f"{queue}:walk", job_id)
    ledger.store.zrem(f"{queue}:walk", job_id)
    ledger.store.zadd(f"{queue}:followers", {job_id: score})
    ledger.store.hset(f"hg:job:{job_id}", "lane", "followers")
    ledger.store.sadd("hg:acct:shop:lanes", "followers")
    # When it gets the turn
    ledger.take_messages()
    assert ledger.finish(holder)
    # Then it runs, charged to the lookup budget
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, (), "0") == "more"
    assert len(spent_ms(ledger, "lookup")) == 1


def test_an_export_record_without_newer_fields_continues(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    ledger.store.hdel(f"hg:job:{job_id}", "barren", "paged", "eta")
    assert claim_and_append(ledger, job_id, (), "0") == "more"
    assert claim_and_append(ledger, job_id, rows(0, 10)) == "succeeded"


@pytest.mark.parametrize("kind", ["followers", "lookup"])
def test_reads_need_no_verification_after_a_failover(ledger: LedgerHarness, kind: str) -> None:
    job_id = add_export(ledger, kind=kind)
    ledger.claim(job_id)
    # Given a store that continues an unknown history
    ledger.store.set("hg:replid", "0" * 40)
    ledger.heartbeat()
    assert ledger.store.get("hg:replid") != b"0" * 40
    # And an intent that an older release has recorded
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    ledger.store.hset(f"hg:job:{job_id}", "intent_at", 1)
    assert ledger.claim(job_id, "other").verify_first is False
