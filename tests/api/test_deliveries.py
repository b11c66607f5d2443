"""Deliveries: callbacks owed, and their attempts."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Status
from tests.support.deliveries import ATTEMPT
from tests.support.ledger import RESULT, LedgerHarness
from tests.support.web import WebHarness

DM: dict[str, Any] = {
    "kind": "dm",
    "account": "shop",
    "to": "some.handle",
    "text": "Hello",
    "callback": "crm",
    "metadata": {"order": "é"},
}


def end(web: WebHarness, ledger: LedgerHarness, status: Status = Status.SUCCEEDED) -> str:
    job_id: str = web.api.post("/jobs", json=DM).json()["id"]
    ledger.finish(ledger.claim_and_send(job_id), status)
    return job_id


def test_a_delivery_is_shown_with_its_payload(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = end(web, ledger)
    (listed,) = web.api.get("/deliveries").json()["items"]
    shown = web.api.get(f"/deliveries/{listed['id']}").json()
    assert shown["payload"]["type"] == "job.succeeded"
    assert shown["payload"]["data"]["job_id"] == job_id
    assert shown["payload"]["data"]["result"] == RESULT
    assert shown["payload"]["data"]["metadata"] == {"order": "é"}
    assert (shown["status"], shown["callback"], shown["attempts"]) == ("pending", "crm", 0)
    assert shown["attempt_log"] == []


def test_an_attempt_is_shown(web: WebHarness, ledger: LedgerHarness) -> None:
    end(web, ledger)
    (listed,) = web.api.get("/deliveries").json()["items"]
    claim = ledger.run(ledger.deliveries.claim(listed["id"], "test"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, "delivered", ATTEMPT))
    shown = web.api.get(f"/deliveries/{listed['id']}").json()
    assert (shown["status"], shown["next_attempt_at"]) == ("delivered", None)
    assert shown["attempt_log"][0]["status"] == 204


def test_deliveries_are_listed_newest_first_by_status_and_page(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    made = [end(web, ledger, status) for status in (Status.SUCCEEDED, Status.FAILED)]
    first = web.api.get("/deliveries", params={"limit": 1, "status": "pending"}).json()
    second = web.api.get("/deliveries", params={"limit": 1, "cursor": first["next"]}).json()
    assert [first["items"][0]["job_id"], second["items"][0]["job_id"]] == made[::-1]
    assert web.api.get("/deliveries?status=delivered").json() == {"items": [], "next": None}


def test_an_unknown_status_is_rejected(web: WebHarness) -> None:
    response = web.api.get("/deliveries?status=lost")
    assert (response.status_code, response.json()["error"]["fields"][0]["field"]) == (422, "status")


@pytest.mark.parametrize("delivery_id", ["x", "dlv_x_1", "%00", "*"])
def test_an_unknown_delivery_is_not_found(web: WebHarness, delivery_id: str) -> None:
    answer = web.api.get(f"/deliveries/{delivery_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_delivery")
