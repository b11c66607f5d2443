"""Webhooks about a person who was erased: recognized, and without a trace that could be guessed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from service.jobs.model import derived_id
from service.signatures.verify import SCHEMES
from tests.support.person_search import keys_about
from tests.support.web import WebHarness, order

PERSON = "/people/some.handle"
MAIL = "jenny@example.com"


def checkout(event_id: str, **more: Any) -> bytes:
    """A payment whose business key is an address, as somebody might guess it."""
    field = {"key": "instagram", "type": "text", "text": {"value": "some.handle"}}
    paid = {
        "payment_status": "paid",
        "payment_intent": MAIL,
        "customer_details": {"name": "Jenny Rosen"},
        "custom_fields": [field],
        **more,
    }
    event = {"id": event_id, "type": "checkout.session.completed", "data": {"object": paid}}
    return json.dumps(event).encode()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_webhook_is_a_duplicate(web: WebHarness, scheme: str) -> None:
    body = order(scheme)
    [job_id] = web.deliver(scheme, body).json()["jobs"]
    [event] = web.store.keys(f"hg:event:{scheme}:*")
    fingerprint: Any = web.store.hget(event, "fingerprint")
    digest = hashlib.sha256(body).hexdigest()
    assert keys_about(web.store, fingerprint.decode())

    assert web.api.delete(PERSON).json()["done"] is True

    for delivery in ("evt_1", "evt_2"):
        # The sender signs its id, so that another one is another event.
        if (scheme, delivery) != ("standard-webhooks", "evt_2"):
            again = web.deliver(scheme, body, event_id=delivery)
            assert (again.status_code, again.json()["jobs"]) == (200, [job_id])
            assert again.json()["duplicate"] is True
    assert keys_about(web.store, fingerprint.decode(), digest[:32], "some.handle") == []
    assert [job["id"] for job in web.api.get("/jobs").json()["items"]] == [job_id]


def test_another_event_about_the_same_thing_lists_the_erased_job(web: WebHarness) -> None:
    once = derived_id("once", "thank-you", MAIL)
    [job_id] = web.deliver("stripe", checkout("evt_1")).json()["jobs"]
    assert keys_about(web.store, once)
    web.api.delete(PERSON)

    later = web.deliver("stripe", checkout("evt_2", customer_details={"name": "Jenny R."}))

    assert (later.status_code, later.json()["jobs"]) == (202, [job_id])
    assert web.api.get("/events/evt_2", params={"source": "stripe"}).json()["jobs"] == [job_id]
    assert [job["id"] for job in web.api.get("/jobs").json()["items"]] == [job_id]
    assert keys_about(web.store, once, "jenny", "some.handle") == []
