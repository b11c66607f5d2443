"""What an operator on call asks, and how many requests it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from service.jobs.model import Failure, Status
from tests.support.ledger import LedgerHarness
from tests.support.mended_rule import MENDED_CONFIG, mended_web, paid, wrong_web
from tests.support.operations import drive
from tests.support.web import WebHarness

__all__ = ["mended_web", "wrong_web"]

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "jenny.rosen", "text": "Hello"}


@contextmanager
def requests(web: WebHarness, most: int) -> Iterator[httpx.Client]:
    """A client that may send so many requests."""
    sent: list[httpx.Request] = []
    hooks = web.api.event_hooks["request"]
    web.api.event_hooks = {**web.api.event_hooks, "request": [*hooks, sent.append]}
    try:
        yield web.api
    finally:
        web.api.event_hooks = {**web.api.event_hooks, "request": hooks}
    assert 1 <= len(sent) <= most


def order(web: WebHarness, **changes: Any) -> str:
    """Create a job."""
    response = web.api.post("/jobs", json={**DM, **changes}).raise_for_status()
    return str(response.json()["id"])


def test_did_jenny_get_her_dm(web: WebHarness, ledger: LedgerHarness) -> None:
    hers, _ = order(web), order(web, to="somebody.else")
    ledger.finish(ledger.claim_and_send(hers))
    with requests(web, 1) as api:
        [job] = api.get("/jobs", params={"to": "@Jenny.Rosen"}).json()["items"]
    assert (job["id"], job["status"]) == (hers, "succeeded")


def test_cancel_24_wrong_jobs(web: WebHarness, ledger: LedgerHarness) -> None:
    wrong = [order(web, to=f"h{n}", metadata={"campaign": "wrong"}) for n in range(24)]
    right = order(web)
    asked = {"action": "cancel", "filter": {"metadata": {"campaign": "wrong"}}}
    with requests(web, 2) as api:
        plan = api.post("/jobs:bulk", json=asked).json()
        operation = api.post("/jobs:bulk", json={**asked, "token": plan["token"]}).json()
    drive(ledger, operation["id"])
    assert {ledger.status(job_id) for job_id in wrong} == {Status.CANCELED}
    assert ledger.status(right) is not Status.CANCELED


def test_close_an_uncertain_dm_that_is_there(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = order(web)
    ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    with requests(web, 1) as api:
        job = api.post(f"/jobs/{job_id}/settle", json={"as": "sent"}).json()
    assert job["status"] == "succeeded"


def test_repair_30_paid_events_whose_rule_had_a_typo(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    jobs = [wrong_web.deliver("stripe", paid(n)).json()["jobs"][0] for n in range(30)]
    asked = {"filter": {"outcome": "rejected"}}
    with requests(mended_web, 2) as api:
        plan = api.post("/events:replay", json=asked).json()
        operation = api.post("/events:replay", json={**asked, "token": plan["token"]}).json()
    drive(ledger, operation["id"], MENDED_CONFIG)
    assert {ledger.record(job_id).to for job_id in jobs} == {f"h{n}" for n in range(30)}


def test_how_many_went_out_and_how_many_failed_and_why(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    before = web.api.get("/stats").json()["total"]
    for number in range(3):
        ledger.finish(ledger.claim_and_send(order(web, to=f"sent{number}")))
    claim = ledger.claim_and_send(order(web))
    failure = Failure("blocked_by_recipient", "They block this account.")
    ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=failure))
    with requests(web, 1) as api:
        total = api.get("/stats").json()["total"]
    assert total["sent"] - before["sent"] == 3
    assert total["failed"]["codes"]["blocked_by_recipient"] == 1


def _untyped(schema: Any) -> bool:
    """Whether a schema says no more than that it is an object."""
    return schema in ({}, {"type": "object"}) or (
        schema.get("type") == "object" and schema.get("additionalProperties") is True
    )


def test_every_route_says_what_it_answers(web: WebHarness) -> None:
    with requests(web, 1) as api:
        found = api.get("/openapi.json").json()
    untyped = [
        (method, path, status)
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
        for media_type, body in answer.get("content", {}).items()
        if media_type == "application/json" and _untyped(body.get("schema", {}))
    ]
    assert untyped == []
