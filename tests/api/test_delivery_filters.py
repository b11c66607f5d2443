"""Finding deliveries: by callback, type, job, status, why the last attempt failed, and time."""

from __future__ import annotations

from typing import Any

import pytest

from service.deliveries import store
from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness

ALL = ["pending", "failed", "delivered", "delivering"]


def end(ledger: LedgerHarness, status: Status = Status.SUCCEEDED, callback: str = "crm") -> str:
    """End a job; return the id of its delivery."""
    job_id = ledger.add_job(callback=callback)
    ledger.finish(ledger.claim_and_send(job_id), status)
    return delivery_of(job_id)


def delivery_of(job_id: str, run: int = 1) -> str:
    return f"dlv_{job_id.removeprefix('job_')}_{run}"


def attempt(ledger: LedgerHarness, delivery: str, to: Any, code: str) -> None:
    """Make one attempt at a delivery."""
    claim = ledger.run(ledger.deliveries.claim(delivery, "worker"))
    assert claim is not None
    entry = {"number": 1, "at": "2026-11-20T10:26:50.441Z", "outcome": "retry", "code": code}
    entry |= {"duration_ms": 12, "body": ""}
    assert ledger.run(ledger.deliveries.record(claim, to, entry, after_ms=60_000))


@pytest.fixture
def made(ledger: LedgerHarness) -> dict[str, str]:
    """One delivery of each sort, by a word for it."""
    made = {"delivered": end(ledger), "given_up": end(ledger, Status.FAILED)}
    made |= {"retried": end(ledger, callback="ops"), "new": end(ledger, Status.UNCERTAIN)}
    attempt(ledger, made["delivered"], "pending", "timeout")
    ledger.pass_time(61_000)
    ledger.heartbeat()
    attempt(ledger, made["delivered"], "delivered", "http_204")
    attempt(ledger, made["given_up"], "failed", "http_410")
    attempt(ledger, made["retried"], "pending", "handed_back")  # as 0.1.0 has written it
    return made


def found(web: WebHarness, **params: Any) -> list[str]:
    """The deliveries on all pages."""
    ids, cursor = list[str](), None
    while True:
        query = {**params, **({} if cursor is None else {"cursor": cursor})}
        page = web.api.get("/deliveries", params=query).raise_for_status().json()
        ids += [delivery["id"] for delivery in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return ids


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["new", "retried", "given_up", "delivered"]),
        ({"callback": "ops"}, ["retried"]),
        ({"callback": "nobody"}, []),
        ({"type": "job.failed"}, ["given_up"]),
        ({"type": "job.succeeded"}, ["retried", "delivered"]),
        ({"status": "pending"}, ["new", "retried"]),
        ({"status": ["pending", "failed"]}, ["new", "retried", "given_up"]),
        ({"status": ALL, "type": "job.uncertain"}, ["new"]),
        ({"code": "http_410"}, ["given_up"]),
        ({"code": "interrupted"}, ["retried"]),
        ({"code": "timeout"}, []),
        ({"code": "http_204"}, []),
        ({"code": "http_410", "status": "delivered"}, []),
        ({"code": "http_410", "callback": "crm", "type": "job.failed"}, ["given_up"]),
    ],
    ids=str,
)
def test_deliveries_are_found(
    web: WebHarness, made: dict[str, str], params: dict[str, Any], expected: list[str]
) -> None:
    assert found(web, **params) == [made[each] for each in expected]
    assert found(web, **params, limit=1) == found(web, **params)


def test_a_delivery_says_why_its_last_attempt_failed(web: WebHarness, made: dict[str, str]) -> None:
    codes = {each["id"]: each["code"] for each in web.api.get("/deliveries").json()["items"]}
    assert codes == {
        made["delivered"]: None,
        made["given_up"]: "http_410",
        made["retried"]: "interrupted",
        made["new"]: None,
    }
    assert web.api.get(f"/deliveries/{made['given_up']}").json()["code"] == "http_410"


def test_the_deliveries_of_all_runs_of_a_job_are_found(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    end(ledger)
    job_id = ledger.add_job(callback="crm")
    for _ in range(3):
        ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
        ledger.run(ledger.core.retry(job_id, "person"))
    runs = [delivery_of(job_id, run) for run in (3, 2, 1)]
    assert found(web, job_id=job_id) == found(web, job_id=job_id, limit=1) == runs
    assert found(web, job_id=job_id, status="delivered") == []
    assert found(web, job_id="job_unknown") == []


def test_deliveries_are_found_by_time(web: WebHarness, ledger: LedgerHarness) -> None:
    made = []
    for _ in range(4):
        made.append(end(ledger))
        ledger.pass_time(60_000)
    times = [each["created_at"] for each in web.api.get("/deliveries").json()["items"]][::-1]
    assert found(web, created_since=times[2]) == made[:1:-1]
    assert found(web, created_until=times[2], status="pending") == made[1::-1]
    assert found(web, created_since=times[1], created_until=times[3], limit=1) == made[2:0:-1]


def test_a_page_looks_at_a_bounded_number_and_says_where_it_stopped(
    web: WebHarness, ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "EFFORT", 8)
    monkeypatch.setattr(store, "MAX_CALLS", 2)
    failed = end(ledger, Status.FAILED)
    for _ in range(6):
        end(ledger)
    first = web.api.get("/deliveries", params={"type": "job.failed"}).json()
    assert (first["items"], first["next"] is None) == ([], False)
    assert found(web, type="job.failed") == [failed]


def test_a_naive_time_is_refused_with_the_remedy(web: WebHarness) -> None:
    response = web.api.get("/deliveries?created_since=2026-01-31T09:00:00")
    (problem,) = response.json()["error"]["fields"]
    assert (response.status_code, problem["field"]) == (422, "created_since")
    assert "with its zone, such as 2026-01-31T09:00:00Z" in problem["message"]
