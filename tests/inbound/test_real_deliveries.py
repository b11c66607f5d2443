"""Real-shaped deliveries of every kind of sender, through the real web application."""

from __future__ import annotations

import pytest

from tests.support.encryption import stored_text
from tests.support.real_deliveries import Delivery
from tests.support.real_senders import send
from tests.support.shop_and_chat_deliveries import GITHUB, PADDLE, SHOPIFY, SLACK
from tests.support.standard_webhooks_deliveries import STANDARD_WEBHOOKS
from tests.support.stripe_deliveries import STRIPE
from tests.support.web import WebHarness

DELIVERIES = (*STRIPE, *STANDARD_WEBHOOKS, *GITHUB, *SHOPIFY, *PADDLE, *SLACK)


@pytest.mark.parametrize("delivery", DELIVERIES, ids=str)
def test_a_real_delivery_becomes_an_event_with_its_job(web: WebHarness, delivery: Delivery) -> None:
    # When
    response = send(web, delivery)

    # Then
    slack_form = delivery.scheme == "slack" and not delivery.body.startswith(b"{")
    assert response.status_code == (200 if slack_form else 202), response.text
    (job_id,) = response.json()["jobs"]
    event = web.api.get(f"/events/{response.json()['event_id']}").json()
    assert (event["status"], event["type"]) == ("accepted", delivery.type)
    assert event["body"].encode() == delivery.body
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "queued"
    assert stored_text(web.store, job_id) == f"About {delivery.about or 'it'}."


@pytest.mark.parametrize("delivery", DELIVERIES, ids=str)
def test_a_real_delivery_sent_again_is_a_duplicate(web: WebHarness, delivery: Delivery) -> None:
    first = send(web, delivery)
    before = web.contents()
    again = send(web, delivery)
    assert (again.status_code, again.json()) == (200, {**first.json(), "duplicate": True})
    assert web.contents() == before


def test_there_are_rows_enough() -> None:
    assert len(DELIVERIES) >= 60
    assert len({str(delivery) for delivery in DELIVERIES}) == len(DELIVERIES)
