"""Bodies that were captured, and events that several subscriptions report: no second job."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.support.real_deliveries import FORM, Delivery, as_form, as_json
from tests.support.real_senders import send
from tests.support.shop_and_chat_deliveries import GITHUB, SHOPIFY
from tests.support.web import WebHarness

STAR = next(each for each in GITHUB if each.name == "star")
STAR_FORM = next(each for each in GITHUB if each.name == "star as form")
PAID = next(each for each in SHOPIFY if each.name == "webhook")
EVENTS = next(each for each in SHOPIFY if each.name == "Events with the new header family only")


@pytest.mark.parametrize("delivery", [STAR, STAR_FORM, PAID], ids=str)
def test_a_captured_body_under_another_id_makes_no_second_job(
    web: WebHarness, delivery: Delivery
) -> None:
    first = send(web, delivery)
    before = web.contents()
    again = send(
        web,
        replace(
            delivery,
            event_id="forged",
            headers={**delivery.headers, "X-Shopify-Event-Id": "forged"},
        ),
    )

    assert (again.status_code, again.json()) == (200, {**first.json(), "duplicate": True})
    assert web.contents() == before


@pytest.mark.parametrize("delivery", [STAR, PAID], ids=str)
def test_a_captured_body_under_another_topic_makes_no_second_job(
    web: WebHarness, delivery: Delivery
) -> None:
    first = send(web, delivery)
    again = send(web, replace(delivery, type="orders/create", event_id="forged"))

    assert again.json() == {**first.json(), "duplicate": True}
    assert web.store.zcard("hg:jobs") == 1


def test_a_captured_new_style_body_under_an_old_style_header_makes_no_second_job(
    web: WebHarness,
) -> None:
    send(web, EVENTS)
    send(web, replace(EVENTS, source="shopify-events", event_id="forged", type="forged"))
    assert web.store.zcard("hg:jobs") == 1


def test_a_form_and_json_of_one_payload_are_one_event(web: WebHarness) -> None:
    document = {"action": "created", "n": 1}
    json_delivery = replace(STAR, body=as_json(document))
    form = replace(STAR, body=as_form(document), event_id="dlv_2", headers={"Content-Type": FORM})

    first, again = send(web, json_delivery), send(web, form)

    assert again.json() == {**first.json(), "duplicate": True}


def test_another_body_is_another_event(web: WebHarness) -> None:
    first = send(web, STAR)
    second = send(web, replace(STAR, body=as_json({"action": "deleted"}), event_id="dlv_2"))
    assert second.status_code == 202
    assert first.json()["jobs"] != second.json()["jobs"]


def test_concurrent_copies_under_different_ids_make_one_job(web: WebHarness) -> None:
    copies = [replace(STAR, event_id=f"dlv_{number}") for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        responses = list(pool.map(lambda each: send(web, each), copies))
    assert sorted(each.status_code for each in responses) == [200] * 23 + [202]
    assert web.store.zcard("hg:jobs") == 1


def test_one_event_through_several_subscriptions_makes_one_job(web: WebHarness) -> None:
    # Given two subscriptions to a topic, which include other fields of the order
    other = replace(PAID, event_id="webhook_2", body=as_json({"id": 820982911946154508}))

    first, again = send(web, PAID), send(web, other)

    assert again.json() == {**first.json(), "duplicate": True}
    assert web.store.zcard("hg:jobs") == 1
    assert web.store.zcard("hg:events") == 1


@pytest.mark.parametrize("headers", [{}, {"X-Shopify-Event-Id": "forged"}])
def test_nor_does_the_body_of_either_subscription_later(
    web: WebHarness, headers: dict[str, str]
) -> None:
    other = replace(PAID, event_id="webhook_2", body=as_json({"id": 820982911946154508}))
    first, _ = send(web, PAID), send(web, other)

    for captured in (PAID, other):
        again = send(web, replace(captured, event_id="forged", headers=headers))
        assert again.json() == {**first.json(), "duplicate": True}
    assert web.store.zcard("hg:jobs") == 1


def test_one_event_id_with_another_topic_is_another_event(web: WebHarness) -> None:
    create = replace(PAID, type="orders/create", event_id="webhook_2", body=as_json({"id": 7}))
    assert [send(web, each).status_code for each in (PAID, create)] == [202, 202]


def test_the_body_is_remembered_for_the_retention(web: WebHarness) -> None:
    send(web, STAR)
    (key,) = web.store.scan_iter("hg:known:*")
    days = web.store.pttl(key) / 86_400_000
    assert 39.9 < days <= 40
