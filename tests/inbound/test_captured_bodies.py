"""A captured body under the ids of an event that could not be filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest
import redis

from tests.support.real_deliveries import Delivery, as_json
from tests.support.real_senders import CONFIG, send
from tests.support.shop_and_chat_deliveries import SHOPIFY
from tests.support.web import WebHarness, connect_again, run_web

PAID = next(each for each in SHOPIFY if each.name == "webhook")


@pytest.fixture(scope="module")
def noted_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An application whose rule for Shopify takes the handle from the order."""
    rules = CONFIG.split('source = "shopify"')
    rules[1] = rules[1].replace(
        'to = "some.handle"', "to = \"{{ object.note_attributes | field('instagram') }}\"", 1
    )
    with run_web(
        store_url, tmp_path_factory.mktemp("noted"), 'source = "shopify"'.join(rules)
    ) as port:
        yield port


@pytest.fixture
def web(noted_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    with connect_again(noted_port, store) as found:
        yield found


def order(number: int, handle: str | None = None) -> Delivery:
    note: list[Mapping[str, str]] = [{"name": "instagram", "value": handle}] if handle else []
    return replace(PAID, body=as_json({"id": number, "note_attributes": note}))


def deliver(web: WebHarness, delivery: Delivery, webhook: str, event: str) -> httpx.Response:
    return send(web, replace(delivery, event_id=webhook), X_Shopify_Event_Id=event)


def recipients(web: WebHarness) -> list[str]:
    jobs = web.api.get("/jobs").json()["items"]
    return [job["to"] for job in jobs if job["status"] != "failed"]


def test_a_body_that_made_a_job_does_not_fill_in_another_event(web: WebHarness) -> None:
    # Given an order with a handle, and one without
    filled = deliver(web, order(1, "jenny.rosen"), "webhook_1", "event_1")
    deliver(web, order(2), "webhook_2", "event_2")

    # When the first body is sent again as the event of the second
    again = deliver(web, order(1, "jenny.rosen"), "webhook_3", "event_2")

    assert again.json() == {**filled.json(), "duplicate": True}
    assert recipients(web) == ["jenny.rosen"]


def test_a_body_that_filled_in_its_event_makes_no_other_job(web: WebHarness) -> None:
    # Given two subscriptions, the first of which leaves out the handle
    deliver(web, order(1), "webhook_1", "event_1")
    full = deliver(web, order(1, "jenny.rosen"), "webhook_2", "event_1")
    assert recipients(web) == ["jenny.rosen"]

    again = deliver(web, order(1, "jenny.rosen"), "forged", "forged")

    assert again.json() == full.json()
    assert recipients(web) == ["jenny.rosen"]
