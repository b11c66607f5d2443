"""Follower exports end, whatever Instagram replies, and never pass a part off as the whole list."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from service.jobs.lua.append_follower_page import Remainder
from service.jobs.model import INCOMPLETE_REASONS
from tests.support.follower_rows import (
    PAGE,
    add_export,
    claim_and_append,
    rows,
    started_export,
    stored_rows,
)
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness
from tests.support.lua import FOLDER

MAX_EMPTY_PAGES, MAX_SLOW_PAGES = 10, 100
LIBRARY = (FOLDER / "lib" / "follower_ends.lua").read_text()


def outcome(ledger: LedgerHarness, job_id: str) -> tuple[bool, str | None]:
    """Whether an export that succeeded has the whole list, and why it does not."""
    job = ledger.api_job(job_id)
    assert job["status"] == "succeeded", job
    return job["result"]["complete"], job["result"]["incomplete_reason"]


def read_on(ledger: LedgerHarness, job_id: str, pages: Any, most: int = 2_000) -> int:
    """Append pages of (rows, cursor) until the export ends; return how many."""
    for number, (page, cursor) in enumerate(pages, start=1):
        assert number <= most, "the export goes on for ever"
        if claim_and_append(ledger, job_id, page, cursor) == "succeeded":
            return number
    raise AssertionError("the export has not ended")


# The end of the list


@pytest.mark.parametrize(
    ("counted", "users", "reason"),
    [
        (1_000, 1_000, None),
        (1_000, 1_007, None),
        # Profiles count some users that no list shows
        (1_000, 900, None),
        (1_000, 899, "ended_early"),
        (1_000, 50, "ended_early"),
        (1_000, 0, "ended_early"),
        (10, 9, None),
        (10, 8, "ended_early"),
        (1, 0, "ended_early"),
        # A profile without a count
        (0, 50, None),
        (0, 0, "ended_early"),
    ],
)
def test_a_list_that_ends_far_below_the_profiles_count_is_incomplete(
    ledger: LedgerHarness, counted: int, users: int, reason: str | None
) -> None:
    job_id = started_export(ledger, expected=counted)
    assert claim_and_append(ledger, job_id, rows(0, users), expected=counted) == "succeeded"
    assert outcome(ledger, job_id) == (reason is None, reason)


@pytest.mark.parametrize(
    ("users", "reason"),
    [(50, "limited_by_instagram"), (999, "limited_by_instagram"), (1_000, None)],
)
def test_a_list_that_instagram_limits_is_incomplete_below_the_count(
    ledger: LedgerHarness, users: int, reason: str | None
) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, rows(0, users), limited=True) == "succeeded"
    assert outcome(ledger, job_id) == (reason is None, reason)


def test_the_limit_of_an_earlier_page_is_remembered(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, rows(0, 50), "1", limited=True) == "more"
    assert claim_and_append(ledger, job_id, rows(50, 950)) == "succeeded"
    assert outcome(ledger, job_id) == (False, "limited_by_instagram")


def test_a_profile_that_counts_nobody_has_the_whole_list(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    assert claim_and_append(ledger, job_id, expected=0) == "succeeded"
    assert outcome(ledger, job_id) == (True, None)


@pytest.mark.parametrize(
    ("counted", "users", "left", "reason"),
    [
        (1_000, 200, "unwanted", "row_limit"),
        (1_000, 200, "none", "row_limit"),
        (200, 200, "unwanted", None),
        (200, 200, "none", None),
        (1_000, 50, "none", "ended_early"),
    ],
)
def test_a_list_cut_at_the_callers_limit_says_so(
    ledger: LedgerHarness, counted: int, users: int, left: Remainder, reason: str | None
) -> None:
    job_id = started_export(ledger, expected=counted, max_rows=200)
    assert ledger.record(job_id).expected == 200
    reply = claim_and_append(ledger, job_id, rows(0, users), expected=200, remainder=left)
    assert (reply, outcome(ledger, job_id)) == ("succeeded", (reason is None, reason))


# Pages without an end


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("new_users", [0, 1])
def test_a_circle_of_cursors_ends_the_export(
    ledger: LedgerHarness, length: int, new_users: int
) -> None:
    # Given cursors that come again and again, also while the list grows at its beginning
    job_id = started_export(ledger, expected=9**9)
    grown = count(10**6, 1)

    def circle() -> Any:
        for number in count():
            fresh = number < length
            page = rows(number * 20, number * 20 + 20) if fresh else rows(0, 0)
            first = next(grown)
            page += rows(first, first + new_users)
            yield page, f"cursor-{number % length}"

    pages = read_on(ledger, job_id, circle())
    assert outcome(ledger, job_id) == (False, "repeated_pages")
    assert pages <= 5 * length + MAX_EMPTY_PAGES
    assert audit(ledger) == []


def test_new_cursors_to_the_same_users_end_the_export(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    pages = read_on(ledger, job_id, (([], f"new-{number}") for number in count()))
    assert (pages, outcome(ledger, job_id)) == (MAX_EMPTY_PAGES, (False, "repeated_pages"))
    assert stored_rows(ledger, job_id) == rows(0, PAGE)
    assert [each["type"] for each in ledger.deliveries_of(job_id)] == ["job.succeeded"]


def test_pages_with_hardly_a_new_user_end_the_export(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    trickle = ((rows(number, number + 1), f"new-{number}") for number in count(PAGE))
    assert read_on(ledger, job_id, trickle) == MAX_SLOW_PAGES
    assert outcome(ledger, job_id) == (False, "repeated_pages")


def test_slow_pages_between_full_ones_are_not_the_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for number in range(3 * MAX_SLOW_PAGES):
        page = rows(number * 20, number * 20 + (10 if number % 99 == 0 else 1))
        assert claim_and_append(ledger, job_id, page, f"new-{number}") == "more"


def test_far_more_users_than_the_profile_counts_end_the_export(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    flood = ((rows(number, number + PAGE), f"new-{number}") for number in count(0, PAGE))
    pages = read_on(ledger, job_id, flood)
    assert outcome(ledger, job_id) == (False, "endless_list")
    assert pages * PAGE <= 2 * 1_000 + 10_000 + PAGE


@pytest.mark.parametrize("counted", [200, 150])
def test_repeated_pages_after_all_counted_users_are_the_end(
    ledger: LedgerHarness, counted: int
) -> None:
    job_id = started_export(ledger, 1, expected=counted)
    assert read_on(ledger, job_id, (([], f"{n}") for n in count(5))) == MAX_EMPTY_PAGES
    assert outcome(ledger, job_id) == (True, None)


def test_repeated_pages_of_a_limited_list_are_the_limits(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    claim_and_append(ledger, job_id, rows(0, 50), "1", limited=True)
    read_on(ledger, job_id, (([], f"new-{number}") for number in count()))
    assert outcome(ledger, job_id) == (False, "limited_by_instagram")


def test_empty_pages_between_full_ones_are_not_the_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for page in range(3):
        for number in range(MAX_EMPTY_PAGES - 1):
            assert claim_and_append(ledger, job_id, (), f"{page}-{number}") == "more"
        page_rows = rows(page * 10, page * 10 + 10)
        assert claim_and_append(ledger, job_id, page_rows, f"{page}") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 30)


def test_one_cursor_that_comes_twice_is_not_the_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for cursor in ("a", "b", "b", "c"):
        assert claim_and_append(ledger, job_id, (), cursor) == "more"


def test_a_long_list_of_short_pages_is_read_to_its_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, expected=2_400)
    for number in range(199):
        page = rows(number * 12, number * 12 + 12)
        assert claim_and_append(ledger, job_id, page, f"{number}", expected=2_400) == "more"
    assert claim_and_append(ledger, job_id, rows(2_388, 2_400), expected=2_400) == "succeeded"
    assert outcome(ledger, job_id) == (True, None)


# Where it is told


@pytest.mark.parametrize(
    ("users", "dropped", "reason"),
    [
        (1_000, 5, None),
        (995, 5, "rows_dropped"),
        (600, 400, "rows_dropped"),
        (0, 1_000, "rows_dropped"),
        (600, 200, "ended_early"),
    ],
)
def test_a_list_with_dropped_entries_is_incomplete_below_the_count(
    ledger: LedgerHarness, users: int, dropped: int, reason: str | None
) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, rows(0, users), "1", dropped=dropped - 3) == "more"
    assert claim_and_append(ledger, job_id, dropped=3) == "succeeded"
    assert ledger.api_job(job_id)["result"]["dropped_rows"] == dropped
    assert outcome(ledger, job_id) == (reason is None, reason)


def test_the_timeline_tells_why_a_list_is_incomplete(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    claim_and_append(ledger, job_id, rows(0, 50), limited=True)
    last = ledger.run(ledger.queries.timeline(job_id))[-1]
    assert (last["status"], last["why"]) == ("succeeded", "incomplete: limited_by_instagram")


def test_the_callback_tells_why_a_list_is_incomplete(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    claim_and_append(ledger, job_id, rows(0, 50), limited=True, dropped=1)
    [delivery] = ledger.deliveries_of(job_id)
    assert delivery["payload"]["data"]["result"] == {
        "users": 50,
        "pages": 1,
        "complete": False,
        "incomplete_reason": "limited_by_instagram",
        "dropped_rows": 1,
        "result_url": f"/jobs/{job_id}/result",
    }


@pytest.mark.parametrize("reason", INCOMPLETE_REASONS)
def test_the_script_and_the_api_have_the_same_reasons(reason: str) -> None:
    assert f"'{reason}'" in LIBRARY


# Releases that overlap


def test_an_export_begun_by_an_older_release_is_judged_by_what_it_knows(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    fields = ("counted", "mark", "mark_page", "limited", "dropped", "repeats")
    ledger.store.hdel(f"hg:job:{job_id}", *fields)
    assert claim_and_append(ledger, job_id, rows(PAGE, 250)) == "succeeded"
    assert outcome(ledger, job_id) == (False, "ended_early")
