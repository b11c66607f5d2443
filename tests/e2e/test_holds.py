"""Holds, pauses and resumes through real processes and their restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from deploy.local.received_callbacks import ReceivedCallback
from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.fleet import (
    WRITES,
    account_of,
    call_count,
    create_job,
    own_scenario,
    post,
    run_fleet,
    wait_kept,
    written_texts,
)
from tests.support.scenario import Scenario

PROCESSES = ("web", "worker", "scheduler")
ACCOUNTS = ("in_trouble", "on_holiday", "in_doubt", "at_rest", "no_dms", "polite", "untroubled")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Accounts whose holds notify the callback endpoint."""
    accounts = {name: {"callback": "crm"} for name in ACCOUNTS}
    directory = tmp_path_factory.mktemp("holds")
    with run_fleet(directory, accounts, processes=PROCESSES) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's jobs on it."""
    with own_scenario(stack, request.node.name) as made:
        yield made


def account_callbacks(scenario: Scenario, account: str, count: int) -> list[ReceivedCallback]:
    """The callbacks about an account, once there are at least `count`."""

    def enough() -> list[ReceivedCallback]:
        received = scenario.stack.receiver.received()
        found = [each for each in received if each["event"]["data"].get("account") == account]
        return found if len(found) >= count else []

    return until(enough, 30, f"{count} callbacks about {account}")


def delivery_types(scenario: Scenario, account: str) -> list[str]:
    """The types of all deliveries about an account, oldest first."""
    items = (
        scenario.api.get("/deliveries", params={"limit": 200}).raise_for_status().json()["items"]
    )
    ids = [each["id"] for each in reversed(items) if each["type"].startswith("account.")]
    payloads = [scenario.api.get(f"/deliveries/{each}").json()["payload"] for each in ids]
    return [each["type"] for each in payloads if each["data"]["account"] == account]


def summaries(callbacks: list[ReceivedCallback]) -> list[tuple[bool, str, dict[str, Any]]]:
    """Whether the official library verified each callback, its type and its data."""
    return [(each["verified"], each["event"]["type"], each["event"]["data"]) for each in callbacks]


def test_a_hold_by_an_error_and_its_end_notify_once_each(scenario: Scenario) -> None:
    about = {"account": "in_trouble", "reason": "checkpoint_required"}
    # Given an account that an error puts on hold
    scenario.stack.fake_instagram.fault(
        "comment", error="checkpoint_required", account="in_trouble"
    )
    first = create_job(scenario, "in_trouble", "comment")
    wait_kept(scenario, first, "held", "checkpoint_required")
    what_happened = "Instagram stopped the account at a checkpoint."
    more = {
        "message": f"{what_happened} Pass it in the app, then resume the account.",
        "job_id": first,
        "remedy": account_of(scenario, "in_trouble")["hold"]["remedy"],
        "accepts_code": False,
        "instagram": {"at": "call", "url": "https://i.instagram.com/challenge/"},
    }
    held = (True, "account.held", about | more)
    resumed = (True, "account.resumed", about)
    assert summaries(account_callbacks(scenario, "in_trouble", 1)) == [held]
    # When another job is created, and a person pauses the account as well
    second = create_job(scenario, "in_trouble")
    wait_kept(scenario, second, "held", "checkpoint_required")
    post(scenario, "/accounts/in_trouble/pause", {"reason": "have a look"})
    # And it is resumed, twice
    for _ in range(2):
        post(scenario, "/accounts/in_trouble/resume")
    # Then there was one callback for each
    assert {scenario.wait_final(job_id)["status"] for job_id in (first, second)} == {"succeeded"}
    assert summaries(account_callbacks(scenario, "in_trouble", 2)) == [held, resumed]
    assert delivery_types(scenario, "in_trouble") == ["account.held", "account.resumed"]


def test_a_pause_by_a_person_and_its_end_notify_once_each(scenario: Scenario) -> None:
    about = {"account": "on_holiday", "reason": "paused"}
    for _ in range(2):
        post(scenario, "/accounts/on_holiday/pause", {"reason": "back on Monday"})
    assert account_of(scenario, "on_holiday")["hold"]["note"] == "back on Monday"
    job_id = create_job(scenario, "on_holiday")
    wait_kept(scenario, job_id, "held", "paused")
    account_callbacks(scenario, "on_holiday", 1)
    for _ in range(2):
        post(scenario, "/accounts/on_holiday/resume")
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert summaries(account_callbacks(scenario, "on_holiday", 2)) == [
        (True, "account.held", about),
        (True, "account.resumed", about),
    ]
    assert delivery_types(scenario, "on_holiday") == ["account.held", "account.resumed"]


def test_a_global_pause_survives_a_restart_and_ends_in_order(scenario: Scenario) -> None:
    stack, texts = scenario.stack, [f"{scenario.name} {which}" for which in range(4)]
    # Given an unconfirmed write that is to be verified
    effect = {"delay_after_effect_seconds": 2, "drop_after": True}
    stack.fake_instagram.fault("broadcast_*", account="in_doubt", **effect)  # type: ignore[arg-type]
    doubtful = create_job(scenario, "in_doubt", text=texts[0])
    until(lambda: scenario.dms(texts[0]), 20, "the DM")
    # When everything is paused, and more jobs are created
    assert post(scenario, "/pause", {"reason": "stop it all"})["status"] == "paused"
    try:
        kinds = ("comment", "dm", "comment")
        more = [
            create_job(scenario, "in_doubt", kind, text=text)
            for kind, text in zip(kinds, texts[1:], strict=True)
        ]
        resting = create_job(scenario, "at_rest")
        for job_id in (*more, resting):
            wait_kept(scenario, job_id, "held", "paused")
        _wait_for_queued_lookup(scenario, "in_doubt")
        seen = call_count(scenario, "in_doubt")
        _restart(stack)
        # Then restarted processes keep the pause, for lookups, too
        assert account_of(scenario, "in_doubt")["paused_everywhere"] is True
        wait_kept(scenario, create_job(scenario, "untroubled"), "held", "paused")
        _wait_for_worker(scenario)
        _wait_for_queued_lookup(scenario, "in_doubt")
        assert scenario.job(doubtful)["status"] == "sending"
        assert call_count(scenario, "in_doubt") == seen
        assert call_count(scenario, "at_rest") == call_count(scenario, "untroubled") == 0
    finally:
        # When everything is resumed
        post(scenario, "/resume")
    # Then the jobs continue in order, and the unconfirmed write is found
    jobs = (doubtful, *more, resting)
    assert {scenario.wait_final(job_id)["status"] for job_id in jobs} == {"succeeded"}
    assert written_texts(scenario, "in_doubt") == texts
    assert account_of(scenario, "in_doubt")["status"] == "active"


def _wait_for_queued_lookup(scenario: Scenario, account: str) -> None:
    until(lambda: account_of(scenario, account)["jobs"]["waiting"] == 1, 20, "the queued lookup")


def _restart(stack: Stack) -> None:
    for name in PROCESSES:
        stack.processes[name].stop()
    for name in PROCESSES:
        stack.start(name)
    until(stack.ready)


def _wait_for_worker(scenario: Scenario) -> None:
    """Wait for a callback, which the same worker delivers."""
    job_id = create_job(scenario, "untroubled", delay_seconds=600)
    post(scenario, f"/jobs/{job_id}/cancel")
    received = scenario.stack.receiver.received
    until(lambda: job_id in str(received()), 30, "a callback")


@pytest.mark.parametrize(("kind", "other"), [("dm", "comment"), ("comment", "dm")])
def test_a_pause_of_one_kind_of_action_does_not_affect_the_other(
    scenario: Scenario, kind: str, other: str
) -> None:
    shown = post(scenario, "/accounts/no_dms/pause", {"kind": kind})
    assert (shown["status"], shown["paused_kinds"]) == ("active", [kind])
    stopped = create_job(scenario, "no_dms", kind)
    wait_kept(scenario, stopped, "held", "paused")
    assert scenario.wait_final(create_job(scenario, "no_dms", other))["status"] == "succeeded"
    assert scenario.job(stopped)["status"] == "held"
    # When it is resumed, then it is done
    assert post(scenario, "/accounts/no_dms/resume", {"kind": kind})["paused_kinds"] == []
    assert scenario.wait_final(stopped)["status"] == "succeeded"
    calls = [each["call"] for each in scenario.stack.fake_instagram.log(account="no_dms")]
    writes = [call for call in calls if call in WRITES.values()]
    assert writes[-2:] == [WRITES[other], WRITES[kind]]


def test_a_suppressed_recipient_gets_nothing_until_removed_from_the_list(
    scenario: Scenario,
) -> None:
    scenario.api.put("/suppressions/no.mail", json={"reason": "asked us"}).raise_for_status()
    job = scenario.job(create_job(scenario, "polite", to="no.mail"))
    assert (job["status"], job["error"]["code"]) == ("failed", "recipient_suppressed")
    scenario.api.delete("/suppressions/no.mail").raise_for_status()
    assert (
        scenario.wait_final(create_job(scenario, "polite", to="no.mail"))["status"] == "succeeded"
    )


@pytest.mark.parametrize("by", ["name", "pk"])
def test_a_recipient_suppressed_while_a_job_waits_gets_nothing(scenario: Scenario, by: str) -> None:
    name = f"changed.mind.{by}"
    pk = scenario.stack.fake_instagram.add_user(name)
    # Given a job that waits
    post(scenario, "/accounts/polite/pause")
    job_id = create_job(scenario, "polite", to=name)
    wait_kept(scenario, job_id, "held", "paused")
    # When its recipient is suppressed, and the job continues
    scenario.api.put(f"/suppressions/{name if by == 'name' else f'pk:{pk}'}").raise_for_status()
    post(scenario, "/accounts/polite/resume")
    _assert_suppressed(scenario, job_id)


def test_a_recipient_suppressed_at_the_last_moment_gets_nothing(scenario: Scenario) -> None:
    # Given a job whose recipient is looked up at this moment
    fake_instagram = scenario.stack.fake_instagram
    fake_instagram.fault("usernameinfo", account="polite", delay_seconds=2)
    job_id = create_job(scenario, "polite", to="last.moment")
    lookups: Callable[[], Any] = partial(fake_instagram.log, call="usernameinfo", account="polite")
    until(lambda: lookups() and lookups()[-1]["ended"] is None, 20, "the lookup")
    # When the recipient is suppressed
    scenario.api.put("/suppressions/last.moment").raise_for_status()
    _assert_suppressed(scenario, job_id)


def _assert_suppressed(scenario: Scenario, job_id: str) -> None:
    job = scenario.wait_final(job_id)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "recipient_suppressed"
    assert not [dm for dm in scenario.dms() if job["to"] in dm["recipients"]]
