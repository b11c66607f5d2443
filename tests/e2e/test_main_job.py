"""The main job through real processes: a signed event becomes a DM and a signed callback."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.scenario import Scenario


def test_a_paid_event_makes_exactly_one_dm_and_one_verified_callback(scenario: Scenario) -> None:
    # Given a customer of this test's own
    customer: dict[str, Any] = {"customer_details": {"name": f"Jenny {scenario.name}"}}
    # When the paid event arrives twice
    first = scenario.send("checkout.session.completed", **customer)
    again = scenario.send("checkout.session.completed", **customer)
    # Then it made one job
    assert first.status == 202
    assert again.status == 200
    assert again.body["duplicate"] is True
    assert again.body["jobs"] == first.body["jobs"]
    # And the DM has the rendered text and its recipient
    job = scenario.wait_final(first.body["jobs"][0])
    assert job["status"] == "succeeded"
    dms = scenario.dms(scenario.name)
    assert [dm["text"] for dm in dms] == [
        f"Thank you, Jenny {scenario.name}! Your order 6735 is on its way."
    ]
    assert dms[0]["recipients"] == ["jenny.rosen"]
    assert job["result"]["message_id"] == dms[0]["item_id"]
    assert job["result"]["client_context"] == dms[0]["client_context"]
    # And there is one callback, verified by the official library
    (callback,) = scenario.wait_callbacks(job["id"])
    assert callback["verified"]
    assert callback["event"]["type"] == "job.succeeded"
    assert callback["event"]["data"]["source"]["event_id"] == first.body["event_id"]
    assert scenario.name not in callback["body"].replace(first.body["event_id"], "")


def test_an_unpaid_event_makes_no_job_and_answers_200(scenario: Scenario) -> None:
    answer = scenario.send("checkout.session.completed.unpaid")
    assert answer.status == 200
    assert answer.body["jobs"] == []
    event = scenario.api.get(f"/events/{answer.body['event_id']}").json()
    assert event["rules"] == [{"rule": "thank-you", "outcome": "when_false", "message": None}]


def test_a_paid_invoice_makes_a_comment(scenario: Scenario) -> None:
    metadata = {"instagram": "Some.Handle"}
    parent = {"subscription_details": {"metadata": metadata}}
    answer = scenario.send("invoice.paid", parent=parent)
    job = scenario.wait_final(answer.body["jobs"][0])
    assert (job["kind"], job["status"]) == ("comment", "succeeded")
    comments = scenario.comments("Welcome back, @Some.Handle!")
    assert job["result"]["comment_id"] in {comment["pk"] for comment in comments}
    assert scenario.wait_callbacks(job["id"])[0]["event"]["data"]["kind"] == "comment"


def test_an_event_type_never_seen_before_passes_through(scenario: Scenario) -> None:
    document = scenario.send("invoice.paid", suffix="-odd")
    assert document.status == 202
    answer = scenario.send("checkout.session.completed.unpaid", suffix="-x", status="expired")
    assert answer.status == 200


def test_many_jobs_share_one_login_and_never_overlap(scenario: Scenario) -> None:
    # Given an account that is logged in, and several jobs at once
    scenario.wait_final(scenario.create_dm())
    fake_instagram = scenario.stack.fake_instagram
    logins = len(fake_instagram.logins())
    ids = [scenario.create_dm(text=f"{scenario.name} {number}") for number in range(12)]
    # When all have ended
    ended = [scenario.wait_final(job_id, 60) for job_id in ids]
    # Then each was sent once, in order, over HTTP/2, with that login and one device
    assert {job["status"] for job in ended} == {"succeeded"}
    texts = [dm["text"] for dm in scenario.dms(f"{scenario.name} ")]
    assert texts == [f"{scenario.name} {number}" for number in range(12)]
    assert len(fake_instagram.logins()) == logins
    assert len(fake_instagram.devices()) == 1
    assert {call["http_version"] for call in fake_instagram.log(call="broadcast_text")} == {"2"}
    assert fake_instagram.overlaps() == []


def test_a_missing_recipient_fails_the_job_with_a_reason(scenario: Scenario) -> None:
    job = scenario.wait_final(scenario.create_dm(to="missing.person"))
    assert job["status"] == "failed"
    assert job["error"]["code"] == "user_not_found"
    (callback,) = scenario.wait_callbacks(job["id"])
    assert callback["event"]["type"] == "job.failed"
    assert callback["event"]["data"]["error"]["code"] == "user_not_found"


def test_an_invalid_handle_is_rejected_at_creation(scenario: Scenario) -> None:
    fields: list[dict[str, Any]] = [{"key": "instagram", "text": {"value": "not a handle!"}}]
    answer = scenario.send("checkout.session.completed", custom_fields=fields)
    assert answer.status == 202
    job = scenario.wait_final(answer.body["jobs"][0])
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_recipient")
    assert scenario.wait_callbacks(job["id"])[0]["verified"]


def test_a_delayed_job_waits_in_the_store_until_it_is_due(scenario: Scenario) -> None:
    job_id = scenario.create_dm(delay_seconds=2)
    assert scenario.job(job_id)["status"] == "scheduled"
    assert scenario.dms(scenario.name) == []
    job = scenario.wait_final(job_id)
    assert job["status"] == "succeeded"
    assert job["started_at"] >= job["run_at"]


def test_a_job_can_be_waited_for(scenario: Scenario) -> None:
    job_id = scenario.create_dm()
    answer = scenario.api.get(f"/jobs/{job_id}", params={"wait": 20})
    assert answer.json()["status"] == "succeeded"


def test_the_response_waits_neither_for_instagram_nor_for_the_receiver(scenario: Scenario) -> None:
    # Given that both hang
    scenario.stack.fake_instagram.fault("usernameinfo", delay_seconds=8, times=None)
    scenario.stack.receiver.answer(delay_seconds=8)
    # When events arrive
    answers = [
        scenario.send("checkout.session.completed", suffix=f"-{number}") for number in range(10)
    ]
    # Then they are answered at once, and so are other requests
    assert {answer.status for answer in answers} == {202}
    assert httpx.get(f"{scenario.stack.url}/healthz").status_code == 200
    for answer in answers:
        scenario.api.post(f"/jobs/{answer.body['jobs'][0]}/cancel")
