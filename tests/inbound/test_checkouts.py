"""The README's rule on real checkouts: whatever was paid how, one DM."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.encryption import stored_text
from tests.support.real_deliveries import as_json
from tests.support.stripe_deliveries import FREE, SUBSCRIPTION, TRIAL, session, snapshot
from tests.support.web import WebHarness, connect_again, run_web

README = (Path(__file__).parents[2] / "README.md").read_text()
COMPLETED = "checkout.session.completed"
PAID_LATER = "checkout.session.async_payment_succeeded"


@pytest.fixture(scope="module")
def readme_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    (config,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = config.replace("STRIPE_WEBHOOK_SECRET", "STRIPE_SECRET")
    with run_web(store_url, tmp_path_factory.mktemp("readme"), config) as port:
        yield port


@pytest.fixture
def web(readme_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    with connect_again(readme_port, store) as found:
        yield found


def deliver(web: WebHarness, document: dict[str, Any]) -> Sequence[str]:
    response = web.deliver("stripe", as_json(document))
    assert response.status_code in (200, 202)
    jobs: list[str] = response.json()["jobs"]
    return jobs


def texts(web: WebHarness) -> list[tuple[str, str, str | None]]:
    """Recipient, status and text of every job."""
    jobs = web.api.get("/jobs").json()["items"]
    return [(job["to"], job["status"], stored_text(web.store, job["id"])) for job in jobs]


@pytest.mark.parametrize(
    "thing",
    [session(), SUBSCRIPTION, FREE, TRIAL],
    ids=["payment", "subscription", "free", "trial"],
)
def test_a_checkout_makes_one_dm_however_often_it_is_reported(
    web: WebHarness, thing: dict[str, Any]
) -> None:
    first = deliver(web, snapshot(COMPLETED, thing))
    other_event = deliver(web, snapshot(COMPLETED, thing, id="evt_other"))

    assert texts(web) == [("jenny.rosen", "queued", "Thank you, Jenny Rosen!")]
    assert first == other_event


@pytest.mark.parametrize("thing", [session(), SUBSCRIPTION], ids=["payment", "subscription"])
@pytest.mark.parametrize("order", itertools.permutations(["completed", "paid"]), ids="-".join)
def test_a_delayed_payment_makes_one_dm_in_either_order(
    web: WebHarness, thing: dict[str, Any], order: Sequence[str]
) -> None:
    events = {
        "completed": snapshot(COMPLETED, {**thing, "payment_status": "unpaid"}, id="evt_1"),
        "paid": snapshot(PAID_LATER, thing, id="evt_2"),
    }
    jobs = {name: deliver(web, events[name]) for name in order}

    assert jobs["completed"] == []
    assert texts(web) == [("jenny.rosen", "queued", "Thank you, Jenny Rosen!")]


@pytest.mark.parametrize("order", itertools.permutations([COMPLETED, PAID_LATER]), ids="-".join)
def test_a_payment_that_both_events_report_as_paid_makes_one_dm(
    web: WebHarness, order: Sequence[str]
) -> None:
    jobs = [
        deliver(web, snapshot(each, SUBSCRIPTION, id=f"evt_{number}"))
        for number, each in enumerate(order)
    ]
    assert jobs[0] == jobs[1]
    assert len(texts(web)) == 1


@pytest.mark.parametrize("order", itertools.permutations(["pi_1", None]), ids=str)
def test_a_payment_whose_id_only_one_of_its_events_has_makes_one_dm(
    web: WebHarness, order: Sequence[str | None]
) -> None:
    jobs = [
        deliver(web, snapshot(COMPLETED, session(payment_intent=each), id=f"evt_{number}"))
        for number, each in enumerate(order)
    ]
    assert jobs[0] == jobs[1]
    assert len(texts(web)) == 1


def test_a_payment_that_two_events_tie_to_its_session_is_known_by_either(web: WebHarness) -> None:
    things = [
        session(payment_intent=None),
        session(),
        session(id="cs_test_b2"),
        session(payment_intent=None),
    ]
    jobs = [
        deliver(web, snapshot(COMPLETED, each, id=f"evt_{number}"))
        for number, each in enumerate(things)
    ]
    assert jobs == [jobs[0]] * 4
    assert len(texts(web)) == 1


def test_payments_with_ids_of_their_own_make_a_dm_each_whatever_else_they_share(
    web: WebHarness,
) -> None:
    for payment in ("pi_1", "pi_2"):
        deliver(web, snapshot(COMPLETED, session(payment_intent=payment), id=f"evt_{payment}"))
    assert len(texts(web)) == 2


def test_a_payment_that_failed_makes_no_dm(web: WebHarness) -> None:
    unpaid = session(payment_status="unpaid")
    deliver(web, snapshot(COMPLETED, unpaid))
    deliver(web, snapshot("checkout.session.async_payment_failed", unpaid, id="evt_2"))
    assert texts(web) == []


def test_a_buyer_without_a_name_gets_a_dm_too(web: WebHarness) -> None:
    deliver(web, snapshot(COMPLETED, session(customer_details={"name": None})))
    assert texts(web) == [("jenny.rosen", "queued", "Thank you, friend!")]
