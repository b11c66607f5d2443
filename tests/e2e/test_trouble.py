"""What goes wrong on the way, through real processes: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from functools import partial

import pytest

from deploy.local.wait import until
from tests.support.journey import Journey

#: Later than the second look-up without a settle, or the first with one, and earlier than the
#: second with one. Look-ups are 3 s apart, and each may begin up to a second late.
SETTLE_SECONDS, LATE_SECONDS = 3, 5.5


def test_a_failure_of_the_moment_is_tried_again(journey: Journey) -> None:
    journey.stack.fake_instagram.fault("usernameinfo", status=503)
    recipient = f"u{abs(hash(journey.name)) % 10**9}x"
    journey.stack.fake_instagram.add_user(recipient)
    job = journey.ended(journey.order(to=recipient), 40)
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
def test_a_write_whose_answer_was_lost_is_found_and_not_repeated(
    journey: Journey, effect: dict[str, object]
) -> None:
    # Given the DM is stored and the answer goes wrong
    journey.stack.fake_instagram.fault("broadcast_*", **effect)  # type: ignore[arg-type]
    # When the job has ended
    job = journey.ended(journey.order(), 40)
    # Then it was found, not sent again
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in journey.dms(journey.name)] == [job["result"]["message_id"]]


def test_a_write_that_never_arrived_is_sent_after_two_looks(journey: Journey) -> None:
    journey.stack.fake_instagram.fault("broadcast_*", "drop_before")
    job = journey.ended(journey.order(), 40)
    assert job["status"] == "succeeded"
    assert len(journey.dms(journey.name)) == 1
    timeline = journey.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert sum(line["why"] == "look-up" for line in timeline) == 2


def test_a_write_that_is_stored_long_after_its_connection_was_cut_is_not_sent_again(
    journey: Journey,
) -> None:
    # Given a server that stores what it has received later than one settle, or two looks, take
    journey.stack.processes["worker"].stop()
    journey.stack.start("worker", environ={"SETTLE_SECONDS": str(SETTLE_SECONDS)})
    journey.stack.fake_instagram.fault("broadcast_*", delay_seconds=LATE_SECONDS)
    job_id = journey.order()
    writes = partial(journey.stack.fake_instagram.log, call="broadcast_text")
    until(writes, 20, "the write")
    # When the connection is cut before it has
    journey.stack.fake_instagram.cut_connections()
    # Then settling and looking twice together wait for it
    job = journey.ended(job_id, 40)
    until(lambda: all(call["ended"] for call in writes()), 20, "the end of every write")
    journey.stack.processes["worker"].stop()
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in journey.dms(journey.name)] == [job["result"]["message_id"]]


def test_a_worker_killed_in_a_write_leaves_it_to_another(journey: Journey) -> None:
    # Given a worker that is killed while its DM is stored but not answered
    journey.stack.fake_instagram.fault("broadcast_*", delay_after_effect_seconds=5)
    job_id = journey.order()
    until(lambda: journey.dms(journey.name), 20, "the DM")
    journey.stack.processes["worker"].kill()
    # When another starts
    journey.stack.start("worker")
    # Then the job ends, with one DM and one callback
    job = journey.ended(job_id, 40)
    assert job["status"] == "succeeded"
    assert len(journey.dms(journey.name)) == 1
    assert len(journey.called_back(job_id)) == 1


def test_a_worker_told_to_stop_many_times_finishes_its_work_first(journey: Journey) -> None:
    # Given a DM under way
    journey.stack.fake_instagram.fault("broadcast_*", delay_seconds=3)
    job_id = journey.order()
    journey.becomes(job_id, "sending")
    # When the whole group is told to stop, several times
    worker = journey.stack.processes["worker"]
    for _ in range(4):
        worker.signal(signal.SIGTERM, group=True)
    # Then it ends well and in time, and the job with it
    assert worker.wait(25) == 0
    assert journey.job(job_id)["status"] == "succeeded"
    assert len(journey.dms(journey.name)) == 1


def test_a_write_that_hangs_while_its_worker_stops_is_handed_back_and_found(
    journey: Journey,
) -> None:
    # Given a DM that is stored and whose answer hangs for longer than a stop may take
    journey.stack.fake_instagram.fault("broadcast_*", delay_after_effect_seconds=40)
    job_id = journey.order()
    until(lambda: journey.dms(journey.name), 20, "the DM")
    # When its worker is told to stop
    worker = journey.stack.processes["worker"]
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    # Then it ends in time, and another finds the DM
    assert worker.wait(25) == 0
    assert time.monotonic() - began < 25
    journey.stack.start("worker")
    assert journey.ended(job_id, 40)["status"] == "succeeded"
    assert len(journey.dms(journey.name)) == 1


def test_a_restarted_worker_uses_the_saved_session(journey: Journey) -> None:
    journey.ended(journey.order())
    before = len(journey.stack.fake_instagram.logins())
    assert journey.stack.processes["worker"].stop() == 0
    journey.stack.start("worker")
    job = journey.ended(journey.order())
    assert job["status"] == "succeeded"
    assert len(journey.stack.fake_instagram.logins()) == before
    assert len(journey.stack.fake_instagram.devices()) == 1


def test_a_challenge_holds_the_account_until_somebody_resumes_it(journey: Journey) -> None:
    journey.stack.fake_instagram.fault("broadcast_*", error="challenge_required")
    first = journey.order(text=f"{journey.name} first")
    journey.becomes(first, "held")
    second = journey.order(text=f"{journey.name} second")
    journey.becomes(second, "held")
    account = journey.api.get("/accounts/shop").json()
    assert (account["status"], account["hold"]["reason"]) == ("held", "challenge_required")
    # When the account is resumed, the jobs go on in their order
    journey.api.post("/accounts/shop/resume").raise_for_status()
    assert journey.ended(first)["status"] == journey.ended(second)["status"] == "succeeded"
    texts = [dm["text"] for dm in journey.dms(journey.name)]
    assert texts == [f"{journey.name} first", f"{journey.name} second"]


def test_please_wait_puts_the_account_to_rest_with_a_time(journey: Journey) -> None:
    journey.stack.fake_instagram.fault("broadcast_*", error="please_wait")
    job = journey.becomes(journey.order(), "waiting")
    assert job["wait"]["reason"] == "please_wait"
    assert job["wait"]["until"] > job["created_at"]
    assert journey.api.get("/accounts/shop").json()["status"] == "cooling_down"


def test_a_callback_that_fails_is_sent_again_with_the_same_id(journey: Journey) -> None:
    journey.stack.receiver.answer(status=500)
    job_id = journey.order()
    journey.called_back(job_id)
    journey.stack.receiver.clear_answers()
    first, second = journey.called_back(job_id, 2)
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    assert second["verified"]
    delivery = until(
        lambda: journey.api.get(f"/deliveries/{first['headers']['webhook-id']}").json()
    )
    assert delivery["attempt_log"][0]["code"] == "http_500"


def test_a_job_canceled_before_its_write_sends_nothing(journey: Journey) -> None:
    job_id = journey.order(delay_seconds=60)
    canceled = journey.api.post(f"/jobs/{job_id}/cancel").json()
    assert canceled["status"] == "canceled"
    assert journey.called_back(job_id)[0]["event"]["type"] == "job.canceled"
    assert journey.dms(journey.name) == []


def test_an_expired_job_is_not_done(journey: Journey) -> None:
    journey.api.post("/accounts/shop/pause").raise_for_status()
    expires_at = journey.job(journey.order())["created_at"]
    assert expires_at  # the store's present
    job_id = journey.order(expires_at=_soon(expires_at))
    assert journey.ended(job_id)["status"] == "expired"
    assert journey.called_back(job_id)[0]["event"]["type"] == "job.expired"


def _soon(moment: str) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=2)).isoformat()
