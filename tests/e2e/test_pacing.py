"""Budgets, gaps and quiet hours through real processes: two workers on one store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.fleet import (
    NO_LIMIT,
    WRITES,
    account_of,
    call_count,
    create_job,
    own_scenario,
    post,
    run_fleet,
    seconds_between,
    wait_kept,
    written_texts,
)
from tests.support.scenario import Scenario

HOUR = 3600
SHORTEST, LONGEST = 0.4, 0.6
PER_HOUR = 5
PACING = {
    "i_accept_the_risk": True,
    "dm": {"gap_seconds": [SHORTEST, LONGEST], "per_hour": PER_HOUR, "per_day": 1000},
    **dict.fromkeys(("dm_new_thread", "comment", "lookup"), NO_LIMIT),
}
LONG = 600
SLOW = {"pacing": {"dm": {"gap_seconds": [LONG, LONG]}}}
ONE_NEW_THREAD = {"gap_seconds": [0, 0], "per_hour": 1, "per_day": 10}
WORKERS = ("worker", "worker-2")
#: A timezone half an hour off the full hours of UTC.
ZONE = "Asia/Kolkata"


def hours_around(ahead: timedelta) -> dict[str, Any]:
    """Two quiet hours around the moment `ahead` from now."""
    middle = datetime.now(ZoneInfo(ZONE)) + ahead
    ends = [middle - timedelta(hours=1), middle + timedelta(hours=1)]
    return {"quiet_hours": [f"{end:%H:%M}" for end in ends], "timezone": ZONE}


ACCOUNTS: dict[str, dict[str, Any]] = {
    "steady": {},
    "slow": SLOW,
    "struck": {},
    "previewed": {},
    "previewed_slow": SLOW,
    "previewed_paused": {},
    "rehearsing": {},
    "opener": {"pacing": {"dm": NO_LIMIT, "dm_new_thread": ONE_NEW_THREAD}},
    "awake": hours_around(timedelta(hours=12)),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers, and an account for every test."""
    accounts = {**ACCOUNTS, "asleep": hours_around(timedelta())}
    with run_fleet(tmp_path_factory.mktemp("pacing"), accounts, pacing=PACING) as running:
        running.start("worker", WORKERS[1])
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's jobs on it."""
    with own_scenario(stack, request.node.name) as made:
        yield made


@pytest.fixture
def dry_run_worker(stack: Stack) -> Iterator[None]:
    """A worker with DRY_RUN instead of the usual ones."""
    for name in WORKERS:
        stack.processes[name].stop()
    stack.start("worker", environ={"DRY_RUN": "1"})
    yield
    stack.processes["worker"].stop()
    for name in WORKERS:
        stack.start("worker", name)


def used(scenario: Scenario, account: str) -> dict[str, int]:
    """What counts against an account's hour, by pace."""
    budgets = account_of(scenario, account)["budgets"]
    return {pace: budget["per_hour"]["used"] for pace, budget in budgets.items()}


def preview(scenario: Scenario, account: str, **wanted: Any) -> dict[str, Any]:
    """The API's preview of a DM."""
    body = {"kind": "dm", "account": account, "to": "some.handle", "text": scenario.name}
    return post(scenario, "/jobs:preview", {**body, **wanted})


def state(scenario: Scenario, account: str) -> dict[str, Any]:
    """Everything about an account that a preview might change."""
    only = {"account": account}
    return {
        "jobs": scenario.api.get("/jobs", params=only).json()["items"],
        "audit": scenario.api.get("/audit", params=only).json()["items"],
        "used": used(scenario, account),
        "calls": call_count(scenario, account),
    }


def test_two_workers_together_respect_the_gap_and_the_hourly_limit(scenario: Scenario) -> None:
    fake_instagram, texts = (
        scenario.stack.fake_instagram,
        [f"{scenario.name} {n}" for n in range(PER_HOUR + 1)],
    )
    # Given one DM more than an hour allows
    jobs = [create_job(scenario, "steady", text=text) for text in texts]
    ended = [scenario.wait_final(job_id) for job_id in jobs[:PER_HOUR]]
    last = wait_kept(scenario, jobs[-1], "waiting", "dm_per_hour")
    # Then an hour's DMs were sent in order, each a gap after the end of the one before
    assert {job["status"] for job in ended} == {"succeeded"}
    assert written_texts(scenario, "steady") == texts[:-1]
    writes = fake_instagram.log(call=WRITES["dm"], account="steady")
    for earlier, later in itertools.pairwise(writes):
        assert earlier["ended"] is not None
        assert later["begun"] - earlier["ended"] >= SHORTEST
    assert not [pair for pair in fake_instagram.overlaps() if pair[0]["account"] == "steady"]
    # And the last one waits until the first is an hour old, as the account shows
    assert abs(seconds_between(ended[0]["finished_at"], last["wait"]["until"]) - HOUR) < 1
    budget = account_of(scenario, "steady")["budgets"]["dm"]
    assert budget["per_hour"] == {"used": PER_HOUR, "limit": PER_HOUR}
    assert budget["per_day"] == {"used": PER_HOUR, "limit": 1000}
    assert budget["gap_seconds"] == [SHORTEST, LONGEST]
    assert (budget["limited_by"], budget["next_slot"]) == ("dm_per_hour", last["wait"]["until"])
    # And a comment is not affected
    assert scenario.wait_final(create_job(scenario, "steady", "comment"))["status"] == "succeeded"


def test_a_comment_does_not_wait_for_the_gap_between_dms(scenario: Scenario) -> None:
    first = scenario.wait_final(create_job(scenario, "slow"))
    # Given a DM that waits for its gap
    second = wait_kept(scenario, create_job(scenario, "slow", text="second"), "waiting", "dm_gap")
    assert abs(seconds_between(first["finished_at"], second["wait"]["until"]) - LONG) < 1
    # When a comment is created after it, then it is sent at once
    assert scenario.wait_final(create_job(scenario, "slow", "comment"))["status"] == "succeeded"
    assert scenario.job(second["id"])["wait"]["reason"] == "dm_gap"
    assert len(written_texts(scenario, "slow")) == 2


def test_a_write_stays_charged_after_its_worker_was_killed(scenario: Scenario) -> None:
    stack = scenario.stack
    # Given a write that is stored but not answered when its worker is killed
    stack.fake_instagram.fault("broadcast_*", account="struck", delay_after_effect_seconds=30)
    job_id = create_job(scenario, "struck")
    until(lambda: scenario.dms(scenario.name), 20, "the DM")
    for name in WORKERS:
        stack.processes[name].kill()
    # Then it is charged
    spent = {"dm": 1, "dm_new_thread": 1, "comment": 0}
    assert used(scenario, "struck").items() >= spent.items()
    # And not twice once it was found
    for name in WORKERS:
        stack.start("worker", name)
    assert scenario.wait_final(job_id, 40)["status"] == "succeeded"
    assert used(scenario, "struck").items() >= spent.items()
    assert len(scenario.dms(scenario.name)) == 1


def test_a_job_is_sent_as_its_preview_says(scenario: Scenario) -> None:
    before = state(scenario, "previewed")
    shown = preview(scenario, "previewed")
    assert (shown["decision"], shown["needs_a_person"]) == ("send", False)
    assert not shown["reason"]
    assert state(scenario, "previewed") == before
    job = scenario.wait_final(create_job(scenario, "previewed", text=scenario.name))
    assert (job["status"], job["attempts"]) == ("succeeded", 1)


def test_a_preview_tells_why_and_until_when_a_job_would_wait(scenario: Scenario) -> None:
    scenario.wait_final(create_job(scenario, "previewed_slow", text="before"))
    before = state(scenario, "previewed_slow")
    shown = preview(scenario, "previewed_slow")
    assert (shown["decision"], shown["reason"], shown["needs_a_person"]) == (
        "wait",
        "dm_gap",
        False,
    )
    assert state(scenario, "previewed_slow") == before
    job = wait_kept(
        scenario, create_job(scenario, "previewed_slow", text=scenario.name), "waiting", "dm_gap"
    )
    assert job["wait"]["until"] == shown["earliest"]


def test_a_preview_tells_that_a_person_is_needed(scenario: Scenario) -> None:
    post(scenario, "/accounts/previewed_paused/pause")
    try:
        shown = preview(scenario, "previewed_paused")
        assert (shown["decision"], shown["reason"]) == ("wait", "paused")
        assert shown["needs_a_person"] is True
        wait_kept(scenario, create_job(scenario, "previewed_paused"), "held", "paused")
    finally:
        post(scenario, "/accounts/previewed_paused/resume")


def test_a_preview_tells_that_a_recipient_is_suppressed(scenario: Scenario) -> None:
    scenario.api.put("/suppressions/left.alone").raise_for_status()
    before = state(scenario, "previewed")
    shown = preview(scenario, "previewed", to="@Left.Alone")
    assert (shown["decision"], shown["reason"]) == ("refuse", "recipient_suppressed")
    assert state(scenario, "previewed") == before
    job = scenario.job(create_job(scenario, "previewed", to="@Left.Alone"))
    assert (job["status"], job["error"]["code"]) == ("failed", "recipient_suppressed")


@pytest.mark.parametrize("kind", list(WRITES))
def test_a_dry_run_job_is_not_sent_and_reports_it(scenario: Scenario, kind: str) -> None:
    spent = used(scenario, "rehearsing")
    job = scenario.wait_final(create_job(scenario, "rehearsing", kind, dry_run=True))
    _assert_dry_run(scenario, job, spent)
    assert job["dry_run"] is True


@pytest.mark.usefixtures("dry_run_worker")
def test_a_dry_run_worker_sends_nothing_and_reports_it(scenario: Scenario) -> None:
    spent = used(scenario, "rehearsing")
    for kind in WRITES:
        _assert_dry_run(
            scenario, scenario.wait_final(create_job(scenario, "rehearsing", kind)), spent
        )


def _assert_dry_run(scenario: Scenario, job: dict[str, Any], spent: dict[str, int]) -> None:
    assert (job["status"], job["result"]) == ("succeeded", {"dry_run": True})
    (callback,) = scenario.wait_callbacks(job["id"])
    assert callback["event"]["data"]["result"] == {"dry_run": True}
    assert written_texts(scenario, "rehearsing") == []
    after = used(scenario, "rehearsing")
    assert [after[kind] for kind in WRITES] == [spent[kind] for kind in WRITES]


def test_opening_a_thread_has_its_own_budget(scenario: Scenario) -> None:
    # Given an account that may open one thread an hour, and has
    first = scenario.wait_final(create_job(scenario, "opener", to="first.friend"))
    assert first["status"] == "succeeded"
    # When another would be opened, then it waits for the next hour
    second = create_job(scenario, "opener", to="second.friend")
    waits = wait_kept(scenario, second, "waiting", "dm_new_thread_per_hour")
    assert abs(seconds_between(first["finished_at"], waits["wait"]["until"]) - HOUR) < 1
    # And in an existing thread the next DM is sent at once
    again = create_job(scenario, "opener", to="first.friend", text=f"{scenario.name} again")
    assert scenario.wait_final(again)["status"] == "succeeded"
    assert scenario.job(second)["status"] == "waiting"
    spent = used(scenario, "opener")
    assert (spent["dm"], spent["dm_new_thread"]) == (2, 1)


def test_in_quiet_hours_an_account_sends_nothing_until_they_end(scenario: Scenario) -> None:
    # When a DM and a comment are created in the quiet hours
    jobs = [
        wait_kept(scenario, create_job(scenario, "asleep", kind), "waiting", "quiet_hours")
        for kind in WRITES
    ]
    # Then both wait for their end, exactly as configured
    ends = {job["wait"]["until"] for job in jobs}
    assert ends == {account_of(scenario, "asleep")["quiet_until"]}
    end = datetime.fromisoformat(ends.pop()).astimezone(ZoneInfo(ZONE))
    assert (end.second, end.microsecond) == (0, 0)
    assert timedelta(minutes=50) < end - datetime.now(ZoneInfo(ZONE)) <= timedelta(hours=1)
    # And no call is made, while an account with other hours still sends
    assert scenario.wait_final(create_job(scenario, "awake"))["status"] == "succeeded"
    assert call_count(scenario, "asleep") == 0


def test_a_rule_writes_to_a_recipient_once_within_repeat_days(
    scenario: Scenario,
) -> None:
    # Given two payments of one customer, each of which matches the rule
    fields = [{"key": "instagram", "text": {"value": "loyal.customer"}}]
    first, second = (
        scenario.send("checkout.session.completed", suffix, custom_fields=fields)
        for suffix in ("-1", "-2")
    )
    # Then the first DM is sent and the second is not, with a callback for both
    assert scenario.wait_final(first.body["jobs"][0])["status"] == "succeeded"
    job = scenario.wait_final(second.body["jobs"][0])
    assert (job["status"], job["error"]["code"]) == ("failed", "recipient_repeated")
    (callback,) = scenario.wait_callbacks(job["id"])
    assert callback["verified"]
    assert callback["event"]["type"] == "job.failed"
    assert callback["event"]["data"]["error"]["code"] == "recipient_repeated"
    sent = [dm for dm in scenario.dms() if "loyal.customer" in dm["recipients"]]
    assert len(sent) == 1
