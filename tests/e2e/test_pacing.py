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
    act,
    calls_of,
    fleet,
    kept,
    order,
    own_journey,
    seconds_between,
    written,
)
from tests.support.journey import Journey

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
#: Half an hour off the full hours of UTC.
ZONE = "Asia/Kolkata"


def hours_around(ahead: timedelta) -> dict[str, Any]:
    """Two quiet hours around a moment that is so far from now."""
    middle = datetime.now(ZoneInfo(ZONE)) + ahead
    ends = [middle - timedelta(hours=1), middle + timedelta(hours=1)]
    return {"quiet_hours": [f"{end:%H:%M}" for end in ends], "timezone": ZONE}


ACCOUNTS: dict[str, dict[str, Any]] = {
    "steady": {},
    "slow": SLOW,
    "struck": {},
    "asked": {},
    "asked_slow": SLOW,
    "asked_paused": {},
    "rehearsing": {},
    "opener": {"pacing": {"dm": NO_LIMIT, "dm_new_thread": ONE_NEW_THREAD}},
    "awake": hours_around(timedelta(hours=12)),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers, and an account for every test."""
    accounts = {**ACCOUNTS, "asleep": hours_around(timedelta())}
    with fleet(tmp_path_factory.mktemp("pacing"), accounts, pacing=PACING) as running:
        running.start("worker", WORKERS[1])
        yield running


@pytest.fixture
def journey(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Journey]:
    """One test's way through it."""
    with own_journey(stack, request.node.name) as made:
        yield made


@pytest.fixture
def dry(stack: Stack) -> Iterator[None]:
    """Only a worker that is told to change nothing."""
    for name in WORKERS:
        stack.processes[name].stop()
    stack.start("worker", environ={"DRY_RUN": "1"})
    yield
    stack.processes["worker"].stop()
    for name in WORKERS:
        stack.start("worker", name)


def used(journey: Journey, account: str) -> dict[str, int]:
    """What an account has spent in this hour, by pace."""
    budgets = account_of(journey, account)["budgets"]
    return {pace: budget["per_hour"]["used"] for pace, budget in budgets.items()}


def preview(journey: Journey, account: str, **wanted: Any) -> dict[str, Any]:
    """What the API says would become of a DM."""
    asked = {"kind": "dm", "account": account, "to": "some.handle", "text": journey.name}
    return act(journey, "/jobs:preview", {**asked, **wanted})


def state(journey: Journey, account: str) -> dict[str, Any]:
    """All that a preview could have changed about an account."""
    only = {"account": account}
    return {
        "jobs": journey.api.get("/jobs", params=only).json()["items"],
        "audit": journey.api.get("/audit", params=only).json()["items"],
        "used": used(journey, account),
        "calls": calls_of(journey, account),
    }


def test_two_workers_together_keep_the_gap_and_the_hour(journey: Journey) -> None:
    fake_instagram, texts = (
        journey.stack.fake_instagram,
        [f"{journey.name} {n}" for n in range(PER_HOUR + 1)],
    )
    # Given one DM more than an hour may have
    jobs = [order(journey, "steady", text=text) for text in texts]
    ended = [journey.ended(job_id) for job_id in jobs[:PER_HOUR]]
    last = kept(journey, jobs[-1], "waiting", "dm_per_hour")
    # Then those of the hour were sent in order, each a gap after the end of the one before
    assert {job["status"] for job in ended} == {"succeeded"}
    assert written(journey, "steady") == texts[:-1]
    writes = fake_instagram.log(call=WRITES["dm"], account="steady")
    for earlier, later in itertools.pairwise(writes):
        assert earlier["ended"] is not None
        assert later["begun"] - earlier["ended"] >= SHORTEST
    assert not [pair for pair in fake_instagram.overlaps() if pair[0]["account"] == "steady"]
    # And the last one waits until the first is an hour ago, as its account shows
    assert abs(seconds_between(ended[0]["finished_at"], last["wait"]["until"]) - HOUR) < 1
    budget = account_of(journey, "steady")["budgets"]["dm"]
    assert budget["per_hour"] == {"used": PER_HOUR, "limit": PER_HOUR}
    assert budget["per_day"] == {"used": PER_HOUR, "limit": 1000}
    assert budget["gap_seconds"] == [SHORTEST, LONGEST]
    assert (budget["limited_by"], budget["next_slot"]) == ("dm_per_hour", last["wait"]["until"])
    # And a comment is none of that
    assert journey.ended(order(journey, "steady", "comment"))["status"] == "succeeded"


def test_a_comment_does_not_wait_for_the_gap_between_dms(journey: Journey) -> None:
    first = journey.ended(order(journey, "slow"))
    # Given a DM that waits for its gap
    second = kept(journey, order(journey, "slow", text="second"), "waiting", "dm_gap")
    assert abs(seconds_between(first["finished_at"], second["wait"]["until"]) - LONG) < 1
    # When a comment is asked for after it, then it goes at once
    assert journey.ended(order(journey, "slow", "comment"))["status"] == "succeeded"
    assert journey.job(second["id"])["wait"]["reason"] == "dm_gap"
    assert len(written(journey, "slow")) == 2


def test_a_worker_killed_in_a_write_leaves_it_charged(journey: Journey) -> None:
    stack = journey.stack
    # Given a write that is stored and not answered when its worker is killed
    stack.fake_instagram.fault("broadcast_*", account="struck", delay_after_effect_seconds=30)
    job_id = order(journey, "struck")
    until(lambda: journey.dms(journey.name), 20, "the DM")
    for name in WORKERS:
        stack.processes[name].kill()
    # Then it is charged, whoever looks
    spent = {"dm": 1, "dm_new_thread": 1, "comment": 0}
    assert used(journey, "struck").items() >= spent.items()
    # And no more than that once it was found
    for name in WORKERS:
        stack.start("worker", name)
    assert journey.ended(job_id, 40)["status"] == "succeeded"
    assert used(journey, "struck").items() >= spent.items()
    assert len(journey.dms(journey.name)) == 1


def test_a_preview_says_send_and_it_is_sent(journey: Journey) -> None:
    before = state(journey, "asked")
    said = preview(journey, "asked")
    assert (said["decision"], said["needs_a_person"]) == ("send", False)
    assert not said["reason"]
    assert state(journey, "asked") == before
    job = journey.ended(order(journey, "asked", text=journey.name))
    assert (job["status"], job["attempts"]) == ("succeeded", 1)


def test_a_preview_says_until_when_and_why_a_job_would_wait(journey: Journey) -> None:
    journey.ended(order(journey, "asked_slow", text="before"))
    before = state(journey, "asked_slow")
    said = preview(journey, "asked_slow")
    assert (said["decision"], said["reason"], said["needs_a_person"]) == ("wait", "dm_gap", False)
    assert state(journey, "asked_slow") == before
    job = kept(journey, order(journey, "asked_slow", text=journey.name), "waiting", "dm_gap")
    assert job["wait"]["until"] == said["earliest"]


def test_a_preview_says_that_a_person_is_needed(journey: Journey) -> None:
    act(journey, "/accounts/asked_paused/pause")
    try:
        said = preview(journey, "asked_paused")
        assert (said["decision"], said["reason"]) == ("wait", "paused")
        assert said["needs_a_person"] is True
        kept(journey, order(journey, "asked_paused"), "held", "paused")
    finally:
        act(journey, "/accounts/asked_paused/resume")


def test_a_preview_says_who_would_be_refused(journey: Journey) -> None:
    journey.api.put("/suppressions/left.alone").raise_for_status()
    before = state(journey, "asked")
    said = preview(journey, "asked", to="@Left.Alone")
    assert (said["decision"], said["reason"]) == ("refuse", "recipient_suppressed")
    assert state(journey, "asked") == before
    job = journey.job(order(journey, "asked", to="@Left.Alone"))
    assert (job["status"], job["error"]["code"]) == ("failed", "recipient_suppressed")


@pytest.mark.parametrize("kind", list(WRITES))
def test_a_dry_job_is_not_sent_and_says_so(journey: Journey, kind: str) -> None:
    spent = used(journey, "rehearsing")
    job = journey.ended(order(journey, "rehearsing", kind, dry_run=True))
    _was_dry(journey, job, spent)
    assert job["dry_run"] is True


@pytest.mark.usefixtures("dry")
def test_a_worker_told_to_change_nothing_sends_nothing_and_says_so(journey: Journey) -> None:
    spent = used(journey, "rehearsing")
    for kind in WRITES:
        _was_dry(journey, journey.ended(order(journey, "rehearsing", kind)), spent)


def _was_dry(journey: Journey, job: dict[str, Any], spent: dict[str, int]) -> None:
    assert (job["status"], job["result"]) == ("succeeded", {"dry_run": True})
    (callback,) = journey.called_back(job["id"])
    assert callback["event"]["data"]["result"] == {"dry_run": True}
    assert written(journey, "rehearsing") == []
    after = used(journey, "rehearsing")
    assert [after[kind] for kind in WRITES] == [spent[kind] for kind in WRITES]


def test_opening_a_thread_has_a_budget_of_its_own(journey: Journey) -> None:
    # Given an account that may open one thread an hour, and has
    first = journey.ended(order(journey, "opener", to="first.friend"))
    assert first["status"] == "succeeded"
    # When another would be opened, then it waits for the hour
    second = order(journey, "opener", to="second.friend")
    waits = kept(journey, second, "waiting", "dm_new_thread_per_hour")
    assert abs(seconds_between(first["finished_at"], waits["wait"]["until"]) - HOUR) < 1
    # And in a thread that is open, the next DM goes at once
    again = order(journey, "opener", to="first.friend", text=f"{journey.name} again")
    assert journey.ended(again)["status"] == "succeeded"
    assert journey.job(second)["status"] == "waiting"
    spent = used(journey, "opener")
    assert (spent["dm"], spent["dm_new_thread"]) == (2, 1)


def test_in_its_quiet_hours_an_account_is_silent_until_they_end(journey: Journey) -> None:
    # When a DM and a comment are asked for in the quiet hours
    jobs = [
        kept(journey, order(journey, "asleep", kind), "waiting", "quiet_hours") for kind in WRITES
    ]
    # Then both wait for their end, which was configured to the minute
    ends = {job["wait"]["until"] for job in jobs}
    assert ends == {account_of(journey, "asleep")["quiet_until"]}
    end = datetime.fromisoformat(ends.pop()).astimezone(ZoneInfo(ZONE))
    assert (end.second, end.microsecond) == (0, 0)
    assert timedelta(minutes=50) < end - datetime.now(ZoneInfo(ZONE)) <= timedelta(hours=1)
    # And Instagram hears nothing, while an account whose hours are others is not kept
    assert journey.ended(order(journey, "awake"))["status"] == "succeeded"
    assert calls_of(journey, "asleep") == 0


def test_a_rule_reaches_the_same_person_once_within_the_days_of_repetition(
    journey: Journey,
) -> None:
    # Given two payments of one customer, whose rule sends a thank-you for each
    fields = [{"key": "instagram", "text": {"value": "loyal.customer"}}]
    first, second = (
        journey.send("checkout.session.completed", suffix, custom_fields=fields)
        for suffix in ("-1", "-2")
    )
    # Then the first is sent and the second is not, and both are told
    assert journey.ended(first.body["jobs"][0])["status"] == "succeeded"
    job = journey.ended(second.body["jobs"][0])
    assert (job["status"], job["error"]["code"]) == ("failed", "recipient_repeated")
    (callback,) = journey.called_back(job["id"])
    assert callback["verified"]
    assert callback["event"]["type"] == "job.failed"
    assert callback["event"]["data"]["error"]["code"] == "recipient_repeated"
    sent = [dm for dm in journey.dms() if "loyal.customer" in dm["recipients"]]
    assert len(sent) == 1
