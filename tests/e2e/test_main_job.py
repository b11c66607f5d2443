"""The main job through real processes: a signed event becomes a DM and a signed callback."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.journey import Journey


def test_a_paid_event_makes_exactly_one_dm_and_one_verified_callback(journey: Journey) -> None:
    # Given a customer of this test's own
    customer: dict[str, Any] = {"customer_details": {"name": f"Jenny {journey.name}"}}
    # When the paid event arrives, and arrives again
    first = journey.send("checkout.session.completed", **customer)
    again = journey.send("checkout.session.completed", **customer)
    # Then it made one job
    assert first.status == 202
    assert again.status == 200
    assert again.body["duplicate"] is True
    assert again.body["jobs"] == first.body["jobs"]
    # And the DM has the rendered text and its recipient
    job = journey.ended(first.body["jobs"][0])
    assert job["status"] == "succeeded"
    dms = journey.dms(journey.name)
    assert [dm["text"] for dm in dms] == [
        f"Thank you, Jenny {journey.name}! Your order 6735 is on its way."
    ]
    assert dms[0]["recipients"] == ["jenny.rosen"]
    assert job["result"]["message_id"] == dms[0]["item_id"]
    assert job["result"]["client_context"] == dms[0]["client_context"]
    # And one callback tells so, verified by the official library
    (callback,) = journey.called_back(job["id"])
    assert callback["verified"]
    assert callback["event"]["type"] == "job.succeeded"
    assert callback["event"]["data"]["source"]["event_id"] == first.body["event_id"]
    assert journey.name not in callback["body"].replace(first.body["event_id"], "")


def test_an_unpaid_event_makes_no_job_and_answers_200(journey: Journey) -> None:
    answer = journey.send("checkout.session.completed.unpaid")
    assert answer.status == 200
    assert answer.body["jobs"] == []
    event = journey.api.get(f"/events/{answer.body['event_id']}").json()
    assert event["rules"] == [{"rule": "thank-you", "outcome": "when_false", "message": None}]


def test_a_paid_invoice_makes_a_comment(journey: Journey) -> None:
    metadata = {"instagram": "Some.Handle"}
    parent = {"subscription_details": {"metadata": metadata}}
    answer = journey.send("invoice.paid", parent=parent)
    job = journey.ended(answer.body["jobs"][0])
    assert (job["kind"], job["status"]) == ("comment", "succeeded")
    comments = journey.comments("Welcome back, @Some.Handle!")
    assert job["result"]["comment_id"] in {comment["pk"] for comment in comments}
    assert journey.called_back(job["id"])[0]["event"]["data"]["kind"] == "comment"


def test_an_event_type_never_seen_before_passes_through(journey: Journey) -> None:
    document = journey.send("invoice.paid", suffix="-odd")
    assert document.status == 202
    answer = journey.send("checkout.session.completed.unpaid", suffix="-x", status="expired")
    assert answer.status == 200


def test_many_jobs_share_one_login_and_never_overlap(journey: Journey) -> None:
    # Given an account that has logged in, and some jobs at once
    journey.ended(journey.order())
    fake_instagram = journey.stack.fake_instagram
    logins = len(fake_instagram.logins())
    ids = [journey.order(text=f"{journey.name} {number}") for number in range(12)]
    # When all have ended
    ended = [journey.ended(job_id, 60) for job_id in ids]
    # Then each was sent once, in order, over HTTP/2, with that login and one device
    assert {job["status"] for job in ended} == {"succeeded"}
    texts = [dm["text"] for dm in journey.dms(f"{journey.name} ")]
    assert texts == [f"{journey.name} {number}" for number in range(12)]
    assert len(fake_instagram.logins()) == logins
    assert len(fake_instagram.devices()) == 1
    assert {call["http_version"] for call in fake_instagram.log(call="broadcast_text")} == {"2"}
    assert fake_instagram.overlaps() == []


def test_a_missing_recipient_fails_the_job_and_says_so(journey: Journey) -> None:
    job = journey.ended(journey.order(to="missing.person"))
    assert job["status"] == "failed"
    assert job["error"]["code"] == "user_not_found"
    (callback,) = journey.called_back(job["id"])
    assert callback["event"]["type"] == "job.failed"
    assert callback["event"]["data"]["error"]["code"] == "user_not_found"


def test_an_unusable_handle_fails_its_job_at_the_door(journey: Journey) -> None:
    fields: list[dict[str, Any]] = [{"key": "instagram", "text": {"value": "not a handle!"}}]
    answer = journey.send("checkout.session.completed", custom_fields=fields)
    assert answer.status == 202
    job = journey.ended(answer.body["jobs"][0])
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_recipient")
    assert journey.called_back(job["id"])[0]["verified"]


def test_a_delayed_job_waits_in_the_store_until_it_is_due(journey: Journey) -> None:
    job_id = journey.order(delay_seconds=2)
    assert journey.job(job_id)["status"] == "scheduled"
    assert journey.dms(journey.name) == []
    job = journey.ended(job_id)
    assert job["status"] == "succeeded"
    assert job["started_at"] >= job["run_at"]


def test_a_job_can_be_waited_for(journey: Journey) -> None:
    job_id = journey.order()
    answer = journey.api.get(f"/jobs/{job_id}", params={"wait": 20})
    assert answer.json()["status"] == "succeeded"


def test_the_answer_waits_neither_for_instagram_nor_for_the_receiver(journey: Journey) -> None:
    # Given both of them hang
    journey.stack.fake_instagram.fault("usernameinfo", delay_seconds=8, times=None)
    journey.stack.receiver.answer(delay_seconds=8)
    # When events arrive
    answers = [
        journey.send("checkout.session.completed", suffix=f"-{number}") for number in range(10)
    ]
    # Then they are answered all the same, and so is everything else
    assert {answer.status for answer in answers} == {202}
    assert httpx.get(f"{journey.stack.url}/healthz").status_code == 200
    for answer in answers:
        journey.api.post(f"/jobs/{answer.body['jobs'][0]}/cancel")
