"""Finding decisions: by account, job, who, what and time."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs import audit_log
from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness

DM = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def pages(web: WebHarness, **params: Any) -> list[dict[str, Any]]:
    """The entries on all pages."""
    entries, cursor = list[dict[str, Any]](), None
    while True:
        query = {**params, **({} if cursor is None else {"cursor": cursor})}
        page = web.api.get("/audit", params=query).raise_for_status().json()
        entries += page["items"]
        cursor = page["next"]
        if cursor is None:
            return entries


def found(web: WebHarness, **params: Any) -> list[str]:
    """The decisions on all pages; the same whatever the size of a page."""
    decisions = [each["decision"] for each in pages(web, **params)]
    assert [each["decision"] for each in pages(web, **params, limit=1)] == decisions
    return decisions


@pytest.fixture
def job_id(web: WebHarness, ledger: LedgerHarness) -> str:
    """A job that was sent, failed and was retried and canceled, among other decisions."""
    job_id: str = web.api.post("/jobs", json=DM).json()["id"]
    ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    web.api.post(f"/jobs/{job_id}/retry").raise_for_status()
    web.api.post("/accounts/shop/pause").raise_for_status()
    other = web.api.post("/jobs", json=DM).json()["id"]
    web.api.post(f"/jobs/{other}/cancel").raise_for_status()
    web.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    web.api.post("/pause").raise_for_status()
    return job_id


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"account": "*"}, ["hold"]),
        ({"account": "reader"}, []),
        ({"decision": "cancel"}, ["cancel", "cancel"]),
        ({"decision": "cancle"}, []),
        ({"by": "api:first", "account": "shop"}, ["cancel", "cancel", "hold", "retry"]),
        ({"by": "api:other"}, []),
        ({"decision": "hold", "by": "api:first"}, ["hold", "hold"]),
        ({"created_since": "2999-01-01T00:00:00Z"}, []),
        ({"created_until": "1999-01-01T00:00:00Z"}, []),
        ({"created_until": "1969-01-01T00:00:00Z", "decision": "hold"}, []),
    ],
    ids=str,
)
@pytest.mark.usefixtures("job_id")
def test_decisions_are_found(web: WebHarness, params: dict[str, str], expected: list[str]) -> None:
    assert found(web, **params) == expected


def test_the_decisions_about_a_job_are_found_with_its_record_and_without(
    web: WebHarness, ledger: LedgerHarness, job_id: str
) -> None:
    for params, expected in (
        ({}, ["cancel", "retry", "send"]),
        ({"by": "api:first"}, ["cancel", "retry"]),
        ({"decision": "send", "account": "shop"}, ["send"]),
        ({"account": "reader"}, []),
        ({"created_until": "1999-01-01T00:00:00Z"}, []),
    ):
        assert found(web, job_id=job_id, **params) == expected
    ledger.store.delete(f"hg:job:{job_id}", f"hg:jobtl:{job_id}")
    assert found(web, job_id=job_id) == ["cancel", "retry", "send"]
    assert found(web, job_id="job_unknown") == []


def test_decisions_are_found_by_time(web: WebHarness, ledger: LedgerHarness) -> None:
    for path in ("/pause", "/resume", "/pause", "/resume"):
        web.api.post(path).raise_for_status()
        ledger.heartbeat()
    times = [each["at"] for each in pages(web)][::-1]
    assert len(set(times)) == 4
    assert [each["at"] for each in pages(web, created_since=times[2])] == times[:1:-1]
    assert [each["at"] for each in pages(web, created_until=times[2], limit=1)] == times[1::-1]
    between = pages(web, created_since=times[1], created_until=times[3], limit=1)
    assert [each["at"] for each in between] == times[2:0:-1]


def test_a_decision_is_found_under_the_name_that_is_shown(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given an entry with the words of 0.1.0
    fields: dict[Any, Any] = {"decision": "cool", "why": "", "by": "pulse", "account": "shop"}
    ledger.store.xadd("hg:audit", fields)
    assert found(web, decision="cooldown", by="heartbeat") == ["cooldown"]


@pytest.mark.usefixtures("job_id")
def test_a_page_looks_at_a_bounded_number_and_says_where_it_stopped(
    web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "EFFORT", 2)
    monkeypatch.setattr(audit_log, "MAX_CALLS", 2)
    first = web.api.get("/audit", params={"decision": "send"}).json()
    assert (first["items"], first["next"] is None) == ([], False)
    assert found(web, decision="send") == ["send"]


@pytest.mark.parametrize(
    ("params", "field", "remedy"),
    [
        ({"created_since": "2026-01-31T09:00:00"}, "created_since", "with its zone"),
        ({"job": "job_x"}, "job", "did you mean 'job_id'?"),
        ({"account": ""}, "account", "at least 1"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(
    web: WebHarness, params: dict[str, str], field: str, remedy: str
) -> None:
    response = web.api.get("/audit", params=params)
    (problem,) = response.json()["error"]["fields"]
    assert (response.status_code, problem["field"]) == (422, field)
    assert remedy in problem["message"]
