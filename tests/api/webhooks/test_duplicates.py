"""The same event again: in sequence, concurrently, with other data, after lost wake-ups."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from service.jobs.actor_routes import DM, NAMESPACE
from tests.support.web import WebHarness, order

QUEUE = f"{NAMESPACE}:{DM.queue}"


def test_a_duplicate_with_a_fresh_signature_creates_nothing(web: WebHarness) -> None:
    first = web.deliver("stripe", order("stripe"), timestamp=None)
    before = web.contents()
    again = web.deliver("stripe", order("stripe", pending_webhooks=0))
    assert (again.status_code, again.json()["jobs"]) == (200, first.json()["jobs"])
    assert again.json()["duplicate"] is True
    assert web.contents() == before


def test_a_duplicate_restores_a_lost_wake_up(web: WebHarness) -> None:
    # Given a job whose message is lost and whose time to be claimed is over
    (job_id,) = web.deliver("stripe", order("stripe")).json()["jobs"]
    web.store.delete(QUEUE, f"{QUEUE}.msgs")
    web.store.zadd("hg:wakes", {job_id: 1})

    # When
    again = web.deliver("stripe", order("stripe"))

    # Then
    assert again.json()["jobs"] == [job_id]
    (message_id,) = web.store.lrange(QUEUE, 0, -1)
    message = json.loads(web.store.hget(f"{QUEUE}.msgs", message_id) or b"{}")
    assert message["args"] == [job_id]


def test_the_same_id_with_other_data_is_stored_separately_as_a_conflict(web: WebHarness) -> None:
    # Given
    first = web.deliver("stripe", order("stripe"))

    # When
    other = web.deliver("stripe", order("stripe", data={"object": {"n": 2}}))

    # Then
    assert other.status_code == 200
    kept_as = other.json()["event_id"]
    assert kept_as.startswith("evt_1~")
    assert (other.json()["conflict"], other.json()["jobs"]) == (True, [])
    statuses = {item["id"]: item["status"] for item in web.api.get("/events").json()["items"]}
    assert statuses == {"evt_1": "accepted", kept_as: "conflict"}
    assert web.api.get("/events/evt_1").json()["jobs"] == first.json()["jobs"]
    assert json.loads(web.api.get(f"/events/{kept_as}").json()["body"])["data"]["object"]["n"] == 2


def test_a_conflict_sent_again_changes_nothing(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe"))
    other = order("stripe", data={"object": {"n": 2}})
    first = web.deliver("stripe", other)
    before = web.contents()
    again = web.deliver("stripe", other)
    assert (again.status_code, again.json()["event_id"]) == (200, first.json()["event_id"])
    assert web.contents() == before


def test_the_same_id_through_two_sources_is_two_events(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe"))
    other = web.deliver("stripe", order("stripe"), source="rotating")
    assert (other.status_code, other.json()["duplicate"]) == (200, False)
    assert len(web.api.get("/events").json()["items"]) == 2


def test_concurrent_copies_of_one_event_are_accepted_once(web: WebHarness) -> None:
    # When
    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: web.deliver("stripe", order("stripe")), range(32)))

    # Then
    assert sorted(response.status_code for response in responses) == [200] * 31 + [202]
    assert len({tuple(response.json()["jobs"]) for response in responses}) == 1
    assert sum(not response.json()["duplicate"] for response in responses) == 1
    assert web.store.zcard("hg:jobs") == 1
    assert web.store.llen(QUEUE) == 1


def test_two_events_about_one_payment_create_one_job(web: WebHarness) -> None:
    # Given a rule with `once_per`
    paid = {
        "type": "checkout.session.completed",
        "data": {
            "object": {
                "payment_status": "paid",
                "payment_intent": "pi_1",
                "custom_fields": [{"key": "instagram", "text": {"value": "some.handle"}}],
                "customer_details": {"name": "Jenny"},
            }
        },
    }

    # When
    jobs = [
        web.deliver("stripe", json.dumps({"id": event_id, **paid}).encode()).json()["jobs"]
        for event_id in ("evt_1", "evt_2")
    ]

    # Then
    assert jobs[0] == jobs[1]
    assert web.store.zcard("hg:jobs") == 1
