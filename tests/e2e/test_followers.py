"""Follower exports through real processes: 2,450 followers once each, whatever is killed."""

from __future__ import annotations

import csv
import io
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.fleet import create_job, own_scenario, post, run_fleet
from tests.support.follower_exports import (
    follower_pks,
    last_call,
    page,
    page_calls,
    result_pks,
    result_rows,
    start_export,
    wait_rows,
)
from tests.support.scenario import Scenario
from tests.support.store import out_of_memory
from tests.support.time_travel import pass_time

MANY = 2_450
KILLS = 10
#: Longer than any wait between two attempts of these tests.
A_WHILE_MS = 80_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An account that only reads, beside one that reads and writes."""
    with run_fleet(tmp_path_factory.mktemp("exports"), {"walker": {"role": "read"}}) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's exports on it."""
    with own_scenario(stack, request.node.name) as made:
        made.begin()
        post(made, "/accounts/walker/resume")
        yield made


def popular(scenario: Scenario, followers: int, **profile: Any) -> str:
    """A new user with so many followers."""
    name = f"star.{random.randrange(16**8):08x}"
    scenario.stack.fake_instagram.add_user(name, followers=followers, **profile)
    return name


def skip_waits(scenario: Scenario) -> None:
    """Let time pass until waiting attempts are due."""
    with redis.Redis.from_url(scenario.stack.redis_url) as store:
        pass_time(store, A_WHILE_MS)


def failure_code(scenario: Scenario, job_id: str) -> str:
    """The error code of an export, once it has failed."""
    job = scenario.wait_final(job_id)
    assert job["status"] == "failed", job
    return str(job["error"]["code"])


# -- complete exports


# After each kill a lease has to expire and a worker has to start.
@pytest.mark.timeout(600)
def test_ten_kills_of_the_worker_leave_every_follower_once_and_in_order(scenario: Scenario) -> None:
    dice, stack = random.Random(7), scenario.stack
    name, before = popular(scenario, MANY), last_call(scenario)
    stack.fake_instagram.fault("followers", times=None, delay_seconds=0.3)
    job_id = start_export(scenario, name, callback="crm")
    # Given ten kills of the worker, each at a random moment
    for _ in range(KILLS):
        since = last_call(scenario)
        until(lambda since=since: page_calls(scenario, since) > 0)  # type: ignore[misc]
        time.sleep(dice.uniform(0, 0.4))  # the moment itself is what is drawn
        stack.processes["worker"].kill()
        stack.start("worker")
    # When it has ended
    job = scenario.wait_final(job_id, 60)
    # Then every follower is there once, in order, from any row on
    assert (job["status"], job["result"]["users"]) == ("succeeded", MANY), job
    whole = result_pks(scenario, job_id)
    assert whole == follower_pks(0, MANY)
    for cursor in (0, 1, 199, 200, 1_234, MANY):
        assert result_pks(scenario, job_id, cursor=cursor) == whole[cursor:]
    # And a kill has cost a page at most
    assert page_calls(scenario, before) <= -(-MANY // 200) + KILLS
    [callback] = scenario.wait_callbacks(job_id)
    assert callback["event"]["data"]["result"]["users"] == MANY


def test_an_export_is_followed_to_its_end_and_read_again_as_csv(scenario: Scenario) -> None:
    job_id = start_export(scenario, popular(scenario, 1_030))
    followed = result_pks(scenario, job_id, follow="true")
    assert followed == follower_pks(0, 1_030)
    assert scenario.job(job_id)["status"] == "succeeded"
    csv_response = scenario.api.get(f"/jobs/{job_id}/result", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(csv_response.text, newline="")))
    assert [row["pk"] for row in rows] == followed
    assert [{**row, "is_private": row["is_private"] == "true"} for row in rows[:1]] == [
        {**result_rows(scenario, job_id)[0], "is_verified": "true"}
    ]


def test_an_export_of_whom_a_user_follows(scenario: Scenario) -> None:
    name = popular(scenario, 0, following=410)
    job_id = start_export(scenario, name, "following")
    assert scenario.wait_final(job_id)["progress"]["expected"] == 410
    assert result_pks(scenario, job_id) == follower_pks(0, 410)


@pytest.mark.parametrize(
    ("limit", "users", "pages"), [(1, 1, 1), (200, 200, 1), (201, 201, 2), (9_999, 450, 3)]
)
def test_a_limit_ends_the_export_without_an_extra_page(
    scenario: Scenario, limit: int, users: int, pages: int
) -> None:
    before = last_call(scenario)
    job_id = start_export(scenario, popular(scenario, 450), limit=limit)
    job = scenario.wait_final(job_id)
    assert (job["status"], job["progress"]["users"]) == ("succeeded", users)
    assert job["progress"]["expected"] == min(limit, 450)
    assert result_pks(scenario, job_id) == follower_pks(0, users)
    assert page_calls(scenario, before) == pages


def test_an_export_of_no_followers_ends_at_once(scenario: Scenario) -> None:
    before = last_call(scenario)
    job = scenario.wait_final(start_export(scenario, popular(scenario, 0)))
    assert (job["status"], job["result"]["users"], job["result"]["pages"]) == ("succeeded", 0, 0)
    assert page_calls(scenario, before) == 0


def test_a_dm_of_another_account_does_not_wait_for_an_export(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("followers", times=None, delay_seconds=0.2)
    job_id = start_export(scenario, popular(scenario, MANY))
    wait_rows(scenario, job_id, 200)
    assert scenario.wait_final(create_job(scenario, "shop"), 5)["status"] == "succeeded"
    assert scenario.job(job_id)["status"] not in ("succeeded", "failed")
    post(scenario, f"/jobs/{job_id}/cancel")
    scenario.wait_final(job_id)


# -- stops


def test_a_cancel_ends_the_export_within_a_page(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("followers", times=None, delay_seconds=0.3)
    job_id = start_export(scenario, popular(scenario, MANY))
    wait_rows(scenario, job_id, 600)
    before = last_call(scenario)
    post(scenario, f"/jobs/{job_id}/cancel")
    job = scenario.wait_final(job_id, 5)
    users = job["progress"]["users"]
    assert (job["status"], users % 200, result_pks(scenario, job_id)) == (
        "canceled",
        0,
        follower_pks(0, users),
    )
    assert page_calls(scenario, before) <= 1


def test_a_stopping_worker_hands_the_export_back_complete(scenario: Scenario) -> None:
    stack = scenario.stack
    stack.fake_instagram.fault("followers", times=None, delay_seconds=0.1)
    job_id = start_export(scenario, popular(scenario, MANY))
    for users in (400, 1_000):
        wait_rows(scenario, job_id, users)
        assert stack.processes["worker"].stop() == 0
        stack.start("worker")
    assert scenario.wait_final(job_id, 60)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, MANY)


def test_a_stopping_web_process_ends_its_streams_first(scenario: Scenario) -> None:
    stack = scenario.stack
    stack.fake_instagram.fault("followers", times=None, delay_seconds=0.3)
    job_id = start_export(scenario, popular(scenario, MANY))
    path = f"/jobs/{job_id}/result"
    with scenario.api.stream("GET", path, params={"follow": "true"}) as answer:
        lines = answer.iter_lines()
        rows = [next(lines) for _ in range(200)]
        began = time.monotonic()
        stack.processes["web"].signal(signal.SIGTERM)
        rows += [line for line in lines if line]
        # Then the rows sent are whole pages, and the process does not wait for the export
        assert len(rows) % 200 == 0
        assert stack.processes["web"].wait(10) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 8
    stack.start("web")
    until(stack.ready)
    assert result_pks(scenario, job_id, cursor=len(rows), follow="true") == follower_pks(
        len(rows), MANY
    )


# -- errors


def test_an_unknown_user_fails_the_export(scenario: Scenario) -> None:
    job_id = start_export(scenario, "missing.person")
    assert failure_code(scenario, job_id) == "user_not_found"
    assert result_rows(scenario, job_id) == []


def test_a_private_account_fails_the_export(scenario: Scenario) -> None:
    name = popular(scenario, 300, is_private=True)
    assert failure_code(scenario, start_export(scenario, name)) == "private_account"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("private_account", "private_account"),
        ("user_not_found", "user_not_found"),
        ("not_found", "user_not_found"),
    ],
)
def test_a_user_who_disappears_during_an_export_leaves_the_rows_so_far(
    scenario: Scenario, error: str, code: str
) -> None:
    name = popular(scenario, MANY)
    scenario.stack.fake_instagram.fault("followers", skip=4, times=None, error=error)
    job_id = start_export(scenario, name)
    assert failure_code(scenario, job_id) == code
    assert result_pks(scenario, job_id) == follower_pks(0, 800)
    # And a retry resumes after them once the user is back
    scenario.stack.fake_instagram.clear_faults()
    post(scenario, f"/jobs/{job_id}/retry")
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, MANY)


def test_after_a_cooldown_the_export_resumes_after_the_last_page(scenario: Scenario) -> None:
    before = last_call(scenario)
    name = popular(scenario, MANY)
    scenario.stack.fake_instagram.fault("followers", skip=5, error="please_wait")
    job_id = start_export(scenario, name)
    job = scenario.wait_status(job_id, "waiting")
    assert (job["wait"]["reason"], job["progress"]["users"]) == ("please_wait", 1_000)
    assert job["progress"]["eta"] >= job["wait"]["until"]
    post(scenario, "/accounts/walker/resume")
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, MANY)
    assert page_calls(scenario, before) == 14


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_before"},
        {"effect": "drop_after"},
        {"effect": "truncate"},
        {"effect": "not_json"},
        {"effect": "empty_ok"},
        {"error": "server_error"},
        {"error": "login_required"},
    ],
)
def test_a_page_that_fails_is_requested_again(scenario: Scenario, effect: dict[str, Any]) -> None:
    scenario.stack.fake_instagram.fault("followers", skip=2, **effect)
    job_id = start_export(scenario, popular(scenario, 900))

    def over() -> bool:
        # After a broken connection the transport retries once by itself; the export does the rest.
        waits = scenario.job(job_id)["wait"]
        if waits and waits["reason"] != "turn":
            skip_waits(scenario)
        return bool(scenario.job(job_id)["status"] == "succeeded")

    until(over, 20)
    assert result_pks(scenario, job_id) == follower_pks(0, 900)


def test_an_export_waits_while_the_store_is_full(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("followers", times=None, delay_seconds=0.5)
    before = last_call(scenario)
    job_id = start_export(scenario, popular(scenario, 700))
    # Given a store that fills up while a page is read: then no turn is granted
    until(lambda: page_calls(scenario, before) > 1)
    with redis.Redis.from_url(scenario.stack.redis_url) as store, out_of_memory(store):
        job = until(lambda: (j := scenario.job(job_id))["wait"] and j)
        assert (job["status"], job["wait"]["reason"]) == ("waiting", "store_full")
    skip_waits(scenario)
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, 700)


# -- irregular pages


def scripted(scenario: Scenario, *pages: dict[str, Any], expected: int = 1_000) -> str:
    """Start an export over these pages; return its job id."""
    for each in pages:
        scenario.stack.fake_instagram.fault("followers", status=200, body=each)
    return start_export(scenario, popular(scenario, expected), callback="crm")


def test_users_who_move_to_the_next_page_are_exported_once(scenario: Scenario) -> None:
    job_id = scripted(
        scenario,
        page(range(200), "a"),
        # Ten new followers have pushed the others back
        page([*range(190, 200), *range(200, 380)], "b"),
        page([*range(370, 380), 5, *range(380, 400), 399], "c"),
        page([], "d"),
        page(range(380, 420), None),
    )
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, 420)


def completeness(scenario: Scenario, job_id: str) -> tuple[bool, str | None]:
    """Whether an export that has succeeded has the whole list, and why it has not.

    The job, the headers of every format, the callback and the timeline say the same.
    """
    job = scenario.wait_final(job_id)
    assert job["status"] == "succeeded", job
    complete, reason = job["result"]["complete"], job["result"]["incomplete_reason"]
    for media_type in ("application/x-ndjson", "text/csv", "application/json"):
        headers = scenario.api.get(f"/jobs/{job_id}/result", headers={"Accept": media_type}).headers
        assert headers["Heliograph-List-Complete"] == str(complete).lower()
        assert headers.get("Heliograph-Incomplete-Reason") == reason
    [callback] = scenario.wait_callbacks(job_id)
    assert callback["event"]["data"]["result"] == job["result"]
    last = scenario.api.get(f"/jobs/{job_id}/timeline").json()["items"][-1]
    assert last["why"] == (f"incomplete: {reason}" if reason else None)
    return complete, reason


#: By how the fake Instagram lists 450 followers: how many are found, and why there are no more.
LISTS: dict[str, tuple[int, str | None]] = {
    "complete": (450, None),
    "limited": (50, "limited_by_instagram"),
    "without_cursor": (200, "ended_early"),
    "hidden": (0, "ended_early"),
    "empty_pages": (250, "ended_early"),
    "repeated": (200, "repeated_pages"),
    "circling": (450, None),
    "odd_rows": (394, "rows_dropped"),
}


@pytest.mark.parametrize("style", LISTS)
def test_every_style_of_list_is_read_as_far_as_it_goes(scenario: Scenario, style: str) -> None:
    users, reason = LISTS[style]
    before = last_call(scenario)
    job_id = start_export(scenario, popular(scenario, 450, lists=style), callback="crm")
    assert completeness(scenario, job_id) == (reason is None, reason)
    result = scenario.job(job_id)["result"]
    assert (result["users"], len(result_pks(scenario, job_id))) == (users, users)
    assert page_calls(scenario, before) <= 3 + 10


def test_a_list_that_instagram_limits_is_incomplete(scenario: Scenario) -> None:
    # As measured for instagrapi issue 2811
    limited = {"should_limit_list_of_followers": True, "has_more": False, "big_list": False}
    job_id = scripted(scenario, page(range(50), None) | limited, expected=686_000)
    assert completeness(scenario, job_id) == (False, "limited_by_instagram")
    assert result_pks(scenario, job_id) == follower_pks(0, 50)


def test_a_list_that_ends_far_below_the_count_is_incomplete(scenario: Scenario) -> None:
    # instagrapi issue 1318: 249 users of 40,000, and nothing more
    job_id = scripted(scenario, page(range(200), "b"), page(range(200, 249), None), expected=40_000)
    assert completeness(scenario, job_id) == (False, "ended_early")


def test_a_list_with_a_few_users_less_than_counted_is_complete(scenario: Scenario) -> None:
    job_id = scripted(scenario, page(range(200), "b"), page(range(200, 447), None), expected=450)
    assert completeness(scenario, job_id) == (True, None)


def test_a_profile_without_counts_is_read_to_the_end_of_its_list(scenario: Scenario) -> None:
    # Behind an age gate all counts are 0 (mgp25/Instagram-API issue 3107)
    name = popular(scenario, 450)
    fake = scenario.stack.fake_instagram
    gated = {
        "follower_count": 0,
        "gating": {"gating_type": "appealable"},
        "pk": fake.add_user(name),
    }
    fake.fault("usernameinfo", status=200, body={"user": gated, "status": "ok"})
    fake.add_user(name, followers=450)
    job_id = start_export(scenario, name, callback="crm")
    assert completeness(scenario, job_id) == (True, None)
    assert result_pks(scenario, job_id) == follower_pks(0, 450)


def test_a_list_cut_at_the_callers_limit_is_incomplete(scenario: Scenario) -> None:
    job_id = start_export(scenario, popular(scenario, 450), limit=250, callback="crm")
    assert completeness(scenario, job_id) == (False, "row_limit")


@pytest.mark.parametrize("circle", ["a", "ab", "abc"])
def test_cursors_in_a_circle_end_the_export(scenario: Scenario, circle: str) -> None:
    starts = range(0, 200 * len(circle), 200)
    pages = [
        page(range(start, start + 200), cursor)
        for start, cursor in zip(starts, circle, strict=True)
    ]
    before = last_call(scenario)
    job_id = scripted(scenario, *(pages * 12))
    assert completeness(scenario, job_id) == (False, "repeated_pages")
    assert result_pks(scenario, job_id) == follower_pks(0, 200 * len(circle))
    assert page_calls(scenario, before) <= len(circle) + 10


def test_new_cursors_to_the_same_users_end_the_export(scenario: Scenario) -> None:
    # mgp25/Instagram-API issue 602
    job_id = scripted(scenario, *(page(range(200), f"new-{number}") for number in range(20)))
    assert completeness(scenario, job_id) == (False, "repeated_pages")
    assert result_pks(scenario, job_id) == follower_pks(0, 200)


def test_a_page_far_longer_than_requested_is_accepted(scenario: Scenario) -> None:
    job_id = scripted(scenario, page(range(5_000), "x"), page(range(5_000, 5_001), None))
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, 5_001)


def test_an_oversized_page_is_rejected(scenario: Scenario) -> None:
    job_id = scripted(scenario, page(range(10_001), "x"), page(range(200), None))
    job = scenario.wait_status(job_id, "waiting")
    assert job["wait"]["reason"] == "reply_unexpected"
    skip_waits(scenario)
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert result_pks(scenario, job_id) == follower_pks(0, 200)


def test_users_with_missing_fields_do_not_spoil_their_page(scenario: Scenario) -> None:
    odd: list[dict[str, Any]] = [
        {"pk": "1"},
        {"id": "2", "username": None, "full_name": None, "is_private": None},
        {"pk": 3, "pk_id": "3", "full_name": "", "username": "three", "is_verified": True},
        {"pk": 4, "full_name": "line\u2028end", "profile_pic_url": "no url", "surprise": {}},
    ]
    job_id = scripted(scenario, page([], None, [*odd, {"username": "nobody"}, {}]), expected=4)
    assert completeness(scenario, job_id) == (True, None)
    assert scenario.job(job_id)["result"]["dropped_rows"] == 2
    shown = result_rows(scenario, job_id)
    assert [row["pk"] for row in shown] == ["1", "2", "3", "4"]
    assert shown[1] == {
        "pk": "2",
        "username": "",
        "full_name": "",
        "is_private": False,
        "is_verified": False,
    }
    assert (shown[2]["is_verified"], shown[3]["full_name"]) == (True, "line\u2028end")
