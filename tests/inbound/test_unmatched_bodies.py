"""A body that made no job under one topic may make its first under another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from tests.support.real_deliveries import Delivery
from tests.support.real_senders import CONFIG, send
from tests.support.shop_and_chat_deliveries import GITHUB, SHOPIFY
from tests.support.web import WebHarness, connect_again, run_web

PAID = next(each for each in SHOPIFY if each.name == "webhook")
STAR = next(each for each in GITHUB if each.name == "star")
CREATE = replace(PAID, type="orders/create", event_id="webhook_0")


@pytest.fixture(scope="module")
def paid_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    config = CONFIG
    for source, event in {"shopify": "orders/paid", "github": "release"}.items():
        key = f'source = "{source}"\nevent = '
        config = config.replace(f'{key}"*"', f'{key}"{event}"')
    with run_web(store_url, tmp_path_factory.mktemp("paid"), config) as port:
        yield port


@pytest.fixture
def web(paid_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    with connect_again(paid_port, store) as found:
        yield found


def test_shopifys_equal_bodies_of_an_order_created_and_paid_make_the_job(web: WebHarness) -> None:
    created, paid = send(web, CREATE), send(web, PAID)
    assert (created.status_code, created.json()["jobs"]) == (200, [])
    assert (paid.status_code, paid.json()["duplicate"]) == (202, False)
    assert web.store.zcard("hg:jobs") == 1


@pytest.mark.parametrize("order", [(CREATE, PAID, CREATE), (PAID, CREATE, PAID)])
def test_but_they_make_one_job_in_any_order(web: WebHarness, order: tuple[Delivery, ...]) -> None:
    for delivery in order:
        send(web, delivery)
    again = send(web, replace(PAID, event_id="forged", headers={}))
    assert again.json()["duplicate"] is True
    assert web.store.zcard("hg:jobs") == 1


def test_a_body_that_makes_no_job_is_stored_once_whatever_its_topics(web: WebHarness) -> None:
    for number in range(5):
        send(web, replace(CREATE, type=f"topic/{number}", event_id=f"webhook_{number}"))
    assert web.store.zcard("hg:events") == 1


def test_githubs_bodies_belong_to_one_type_so_that_no_other_makes_a_job(web: WebHarness) -> None:
    first = send(web, STAR)
    forged = send(web, replace(STAR, type="release", event_id="forged"))
    assert forged.json() == {**first.json(), "duplicate": True}
    assert web.store.zcard("hg:jobs") == 0
