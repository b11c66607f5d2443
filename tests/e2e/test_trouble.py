"""Failures through real processes: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from functools import partial

import pytest

from deploy.local.wait import until
from tests.support.follower_exports import last_call
from tests.support.scenario import Scenario

#: When a late write is stored: after the settle time, and before the second lookup, which follows
#: the first by 3 s or more.
SETTLE_SECONDS, LATE_SECONDS = 5, 6.5


def test_a_temporary_failure_is_retried(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("usernameinfo", status=503)
    recipient = f"u{abs(hash(scenario.name)) % 10**9}x"
    scenario.stack.fake_instagram.add_user(recipient)
    job = scenario.wait_final(scenario.create_dm(to=recipient), 40)
    assert (job["status"], job["attempts"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_after"},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"status_after_effect": 502},
    ],
    ids=["connection dropped", "empty reply", "cut reply", "server error"],
)
def test_a_write_whose_response_was_lost_is_found_and_not_repeated(
    scenario: Scenario, effect: dict[str, object]
) -> None:
    # Given a DM that is stored while its response is lost
    scenario.stack.fake_instagram.fault("broadcast_*", **effect)  # type: ignore[arg-type]
    # When the job has ended
    job = scenario.wait_final(scenario.create_dm(), 40)
    # Then the DM was found, not sent again
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in scenario.dms(scenario.name)] == [job["result"]["message_id"]]


def test_a_write_that_never_arrived_is_sent_after_two_lookups(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("broadcast_*", "drop_before")
    job = scenario.wait_final(scenario.create_dm(), 40)
    assert job["status"] == "succeeded"
    assert len(scenario.dms(scenario.name)) == 1
    timeline = scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert sum(line["why"] == "verification lookup" for line in timeline) == 2


def test_a_write_that_is_stored_long_after_its_connection_was_cut_is_not_sent_again(
    scenario: Scenario,
) -> None:
    # Given a server that stores what it has received after the settle time
    scenario.stack.processes["worker"].stop()
    scenario.stack.start("worker", environ={"SETTLE_SECONDS": str(SETTLE_SECONDS)})
    scenario.stack.fake_instagram.fault("broadcast_*", delay_seconds=LATE_SECONDS)
    before = last_call(scenario)
    job_id = scenario.create_dm()
    writes = partial(scenario.stack.fake_instagram.log, call="broadcast_text", since=before)
    [write] = until(writes, 20, "the write")
    # When the connection is cut before that
    cut_at = time.monotonic()
    scenario.stack.fake_instagram.cut_connections()
    # Then the worker waits the settle time, looks twice and finds it
    job = scenario.wait_final(job_id, 40)
    first_lookup = scenario.stack.fake_instagram.log(since=write["seq"])[0]
    assert first_lookup["begun"] - cut_at >= SETTLE_SECONDS
    until(lambda: all(call["ended"] for call in writes()), 20, "the end of every write")
    scenario.stack.processes["worker"].stop()
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in scenario.dms(scenario.name)] == [job["result"]["message_id"]]


def test_after_a_kill_in_a_write_another_worker_ends_the_job(scenario: Scenario) -> None:
    # Given a worker that is killed while its DM is stored but not answered
    scenario.stack.fake_instagram.fault("broadcast_*", delay_after_effect_seconds=5)
    job_id = scenario.create_dm()
    until(lambda: scenario.dms(scenario.name), 20, "the DM")
    scenario.stack.processes["worker"].kill()
    # When another starts
    scenario.stack.start("worker")
    # Then the job ends, with one DM and one callback
    job = scenario.wait_final(job_id, 40)
    assert job["status"] == "succeeded"
    assert len(scenario.dms(scenario.name)) == 1
    assert len(scenario.wait_callbacks(job_id)) == 1


def test_a_worker_told_to_stop_many_times_finishes_its_work_first(scenario: Scenario) -> None:
    # Given a DM in progress
    scenario.stack.fake_instagram.fault("broadcast_*", delay_seconds=3)
    job_id = scenario.create_dm()
    scenario.wait_status(job_id, "sending")
    # When the whole group is told to stop, several times
    worker = scenario.stack.processes["worker"]
    for _ in range(4):
        worker.signal(signal.SIGTERM, group=True)
    # Then it exits cleanly and in time, and the job is done
    assert worker.wait(25) == 0
    assert scenario.job(job_id)["status"] == "succeeded"
    assert len(scenario.dms(scenario.name)) == 1


def test_a_write_that_hangs_while_its_worker_stops_is_handed_back_and_found(
    scenario: Scenario,
) -> None:
    # Given a DM that is stored and whose response takes longer than a stop may
    scenario.stack.fake_instagram.fault("broadcast_*", delay_after_effect_seconds=40)
    job_id = scenario.create_dm()
    until(lambda: scenario.dms(scenario.name), 20, "the DM")
    # When its worker is told to stop
    worker = scenario.stack.processes["worker"]
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    # Then it exits in time, and another finds the DM
    assert worker.wait(25) == 0
    assert time.monotonic() - began < 25
    scenario.stack.start("worker")
    assert scenario.wait_final(job_id, 40)["status"] == "succeeded"
    assert len(scenario.dms(scenario.name)) == 1


def test_a_restarted_worker_uses_the_saved_session(scenario: Scenario) -> None:
    scenario.wait_final(scenario.create_dm())
    before = len(scenario.stack.fake_instagram.logins())
    assert scenario.stack.processes["worker"].stop() == 0
    scenario.stack.start("worker")
    job = scenario.wait_final(scenario.create_dm())
    assert job["status"] == "succeeded"
    assert len(scenario.stack.fake_instagram.logins()) == before
    assert len(scenario.stack.fake_instagram.devices()) == 1


def test_a_challenge_holds_the_account_until_it_is_resumed(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("broadcast_*", error="challenge_required")
    first = scenario.create_dm(text=f"{scenario.name} first")
    scenario.wait_status(first, "held")
    second = scenario.create_dm(text=f"{scenario.name} second")
    scenario.wait_status(second, "held")
    account = scenario.api.get("/accounts/shop").json()
    assert (account["status"], account["hold"]["reason"]) == ("held", "challenge_required")
    # When the account is resumed, then the jobs continue in order
    scenario.api.post("/accounts/shop/resume").raise_for_status()
    assert (
        scenario.wait_final(first)["status"] == scenario.wait_final(second)["status"] == "succeeded"
    )
    texts = [dm["text"] for dm in scenario.dms(scenario.name)]
    assert texts == [f"{scenario.name} first", f"{scenario.name} second"]


def test_please_wait_starts_a_cooldown_with_an_end(scenario: Scenario) -> None:
    scenario.stack.fake_instagram.fault("broadcast_*", error="please_wait")
    job = scenario.wait_status(scenario.create_dm(), "waiting")
    assert job["wait"]["reason"] == "please_wait"
    assert job["wait"]["until"] > job["created_at"]
    assert scenario.api.get("/accounts/shop").json()["status"] == "cooling_down"


def test_a_callback_that_fails_is_sent_again_with_the_same_id(scenario: Scenario) -> None:
    scenario.stack.receiver.answer(status=500)
    job_id = scenario.create_dm()
    scenario.wait_callbacks(job_id)
    scenario.stack.receiver.clear_answers()
    first, second = scenario.wait_callbacks(job_id, 2)
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    assert second["verified"]
    delivery = until(
        lambda: scenario.api.get(f"/deliveries/{first['headers']['webhook-id']}").json()
    )
    assert delivery["attempt_log"][0]["code"] == "http_500"


def test_a_job_canceled_before_its_write_sends_nothing(scenario: Scenario) -> None:
    job_id = scenario.create_dm(delay_seconds=60)
    canceled = scenario.api.post(f"/jobs/{job_id}/cancel").json()
    assert canceled["status"] == "canceled"
    assert scenario.wait_callbacks(job_id)[0]["event"]["type"] == "job.canceled"
    assert scenario.dms(scenario.name) == []


def test_an_expired_job_is_not_done(scenario: Scenario) -> None:
    scenario.api.post("/accounts/shop/pause").raise_for_status()
    expires_at = scenario.job(scenario.create_dm())["created_at"]
    assert expires_at  # the store's present
    job_id = scenario.create_dm(expires_at=_soon(expires_at))
    assert scenario.wait_final(job_id)["status"] == "expired"
    assert scenario.wait_callbacks(job_id)[0]["event"]["type"] == "job.expired"


def _soon(moment: str) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=2)).isoformat()
