"""One event in several shapes: API versions, thin and snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from tests.support.real_deliveries import as_json
from tests.support.stripe_deliveries import session, snapshot, thin
from tests.support.web import WebHarness, connect_again, run_web

CONFIG = """
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE_SECRET"]

[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"

[[rules]]
name = "thank-you"
source = "stripe"
event = ["*checkout.session.completed"]
when = "object.payment_status == 'paid'"
action = "dm"
account = "shop"
to = "{{ object.custom_fields | field('instagram') }}"
text = "Thank you!"

[[rules]]
name = "refund"
source = "stripe"
event = "charge.refunded"
action = "dm"
account = "shop"
to = "{{ object.metadata.instagram }}"
text = "Here is your money."
"""
OLD, NEW = "2022-11-15", "2025-03-31.basil"
COMPLETED = "checkout.session.completed"


@pytest.fixture(scope="module")
def shapes_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with run_web(store_url, tmp_path_factory.mktemp("shapes"), CONFIG) as port:
        yield port


@pytest.fixture
def web(shapes_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    with connect_again(shapes_port, store) as found:
        yield found


def send(web: WebHarness, document: dict[str, Any]) -> httpx.Response:
    return web.deliver("stripe", as_json(document))


def refund(version: str, **changes: Any) -> dict[str, Any]:
    charge = {"id": "ch_1", "metadata": {"instagram": "jenny.rosen"}} | changes
    return snapshot("charge.refunded", charge, api_version=version)


def test_one_event_in_two_api_versions_makes_one_job(web: WebHarness) -> None:
    first = send(web, snapshot(COMPLETED, session(), api_version=OLD))
    again = send(web, snapshot(COMPLETED, session(currency_conversion=None), api_version=NEW))

    assert again.status_code == 200
    assert again.json() == {**first.json(), "duplicate": True}
    assert web.store.zcard("hg:jobs") == web.store.zcard("hg:events") == 1


def test_the_second_shape_makes_the_job_that_the_first_could_not_decide(web: WebHarness) -> None:
    # Given an API version whose session has no payment status
    unclear = session()
    del unclear["payment_status"]
    first = send(web, snapshot(COMPLETED, unclear, api_version=OLD))
    assert first.json()["jobs"] == []

    second = send(web, snapshot(COMPLETED, session(), api_version=NEW))
    third = send(web, snapshot(COMPLETED, session(), api_version="2024-06-20"))
    again = send(web, snapshot(COMPLETED, unclear, api_version=OLD))

    assert second.json()["duplicate"] is True
    (job_id,) = second.json()["jobs"]
    assert third.json() == again.json() == second.json()
    job = web.api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["to"]) == ("queued", "jenny.rosen")
    assert job["source"]["event_id"] == first.json()["event_id"]
    event = web.api.get(f"/events/{first.json()['event_id']}").json()
    assert (event["jobs"], event["rules"][0]["outcome"]) == ([job_id], "matched")


def test_the_second_shape_does_not_run_a_rule_whose_condition_was_false(web: WebHarness) -> None:
    send(web, snapshot(COMPLETED, session(payment_status="unpaid"), api_version=OLD))
    second = send(web, snapshot(COMPLETED, session(), api_version=NEW))
    assert second.json()["jobs"] == []


def test_the_second_shape_fills_in_what_was_missing_in_the_first(web: WebHarness) -> None:
    # Given a job that was rejected at creation
    (rejected,) = send(web, refund(OLD, metadata={})).json()["jobs"]
    assert web.api.get(f"/jobs/{rejected}").json()["status"] == "failed"

    second = send(web, refund(NEW))
    third = send(web, refund("2024-06-20", currency="eur"))

    assert third.json()["jobs"] == second.json()["jobs"]
    _, job_id = second.json()["jobs"]
    assert web.api.get(f"/jobs/{job_id}").json()["to"] == "jenny.rosen"


def test_what_is_missing_in_both_shapes_is_rejected_once(web: WebHarness) -> None:
    first = send(web, refund(OLD, metadata={}))
    second = send(web, refund(NEW, metadata={}, currency="eur"))
    assert second.json()["jobs"] == first.json()["jobs"]
    assert web.store.zcard("hg:jobs") == 1


def _thin(**changes: Any) -> dict[str, Any]:
    return thin(f"v1.{COMPLETED}", "checkout.session", "cs_test_a1", **changes)


@pytest.mark.parametrize("named", ["as the snapshot", "by its own id"])
@pytest.mark.parametrize("thin_first", [True, False])
def test_a_thin_event_and_its_snapshot_make_one_job(
    web: WebHarness, named: str, thin_first: bool
) -> None:
    event = snapshot(COMPLETED, session())
    key = "id" if named == "as the snapshot" else "snapshot_event"
    shapes = [_thin(**{key: event["id"]}), event]

    answers = [send(web, each) for each in (shapes if thin_first else shapes[::-1])]
    again = [send(web, each) for each in shapes]

    assert all(each.status_code in (200, 202) for each in answers)
    assert web.store.zcard("hg:events") == web.store.zcard("hg:jobs") == 1
    (job_id,) = answers[-1].json()["jobs"]
    assert web.api.get(f"/jobs/{job_id}").json()["to"] == "jenny.rosen"
    assert [each.json()["jobs"] for each in again] == [[job_id], [job_id]]


@pytest.mark.parametrize("thin_first", [True, False])
def test_of_an_event_without_jobs_the_snapshot_is_kept_for_a_replay(
    web: WebHarness, thin_first: bool
) -> None:
    event = snapshot("product.created", {"id": "prod_1"})
    shapes = [thin("v1.product.created", "product", "prod_1", snapshot_event=event["id"]), event]

    for each in shapes if thin_first else shapes[::-1]:
        send(web, each)

    kept = web.api.get(f"/events/{event['id']}").json()
    assert (kept["type"], kept["body"]) == ("product.created", as_json(event).decode())
    assert [send(web, each).json()["duplicate"] for each in shapes] == [True, True]


def test_a_thin_event_sent_again_with_its_keys_in_another_order_is_a_duplicate(
    web: WebHarness,
) -> None:
    event = _thin()
    send(web, event)
    again = send(web, dict(reversed(list(event.items()))))
    assert again.json()["duplicate"] is True
    assert web.store.zcard("hg:events") == 1


def test_the_same_id_and_version_with_other_data_is_a_conflict(web: WebHarness) -> None:
    send(web, snapshot(COMPLETED, session()))
    other = send(web, snapshot(COMPLETED, session(amount_total=1)))
    assert (other.json()["conflict"], other.json()["jobs"]) == (True, [])
