"""Canceling and retrying jobs in each of their states."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def make(web: WebHarness, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json={**DM, **changes}).json()["id"]
    return job_id


@pytest.mark.parametrize("delay", [0, 60])
def test_a_job_that_has_not_started_is_canceled(web: WebHarness, delay: int) -> None:
    job_id = make(web, delay_seconds=delay, callback="crm")
    canceled = web.api.post(f"/jobs/{job_id}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    last = web.api.get(f"/jobs/{job_id}/timeline").json()["items"][-1]
    assert (last["status"], last["by"]) == ("canceled", "api:first")


def test_canceling_is_idempotent(web: WebHarness) -> None:
    job_id = make(web, callback="crm")
    first = web.api.post(f"/jobs/{job_id}/cancel")
    before = web.contents()
    again = web.api.post(f"/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    assert web.contents() == before


def test_a_canceled_running_job_does_not_write(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    claim = ledger.claim(job_id)
    requests = web.api.post(f"/jobs/{job_id}/cancel")
    assert requests.status_code == 200
    assert (requests.json()["status"], requests.json()["cancel_requested"]) == ("running", True)
    assert ledger.record_intent(claim) == "canceled"
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "canceled"


def test_a_job_that_is_sending_cannot_be_canceled(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    ledger.claim_and_send(job_id)
    late = web.api.post(f"/jobs/{job_id}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "not_cancelable")


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN])
def test_a_job_that_has_ended_cannot_be_canceled(
    web: WebHarness, ledger: LedgerHarness, status: Status
) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id), status)
    before = web.contents()
    late = web.api.post(f"/jobs/{job_id}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "not_cancelable")
    assert str(status) in late.json()["error"]["message"]
    assert web.contents() == before


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNCERTAIN])
def test_a_retry_starts_the_next_run_of_a_failed_or_uncertain_job(
    web: WebHarness, ledger: LedgerHarness, status: Status
) -> None:
    # Given
    job_id = make(web, callback="crm")
    ledger.finish(ledger.claim_and_send(job_id), status)

    # When
    again = web.api.post(f"/jobs/{job_id}/retry")

    # Then
    assert again.status_code == 202
    job = again.json()
    assert (job["id"], job["status"], job["run"], job["error"]) == (job_id, "queued", 2, None)
    ledger.finish(ledger.claim(job_id))
    types = [item["type"] for item in web.api.get(f"/jobs/{job_id}/timeline").json()["deliveries"]]
    assert types == [f"job.{status}", "job.succeeded"]


def test_only_failed_and_uncertain_jobs_can_be_retried(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    canceled = make(web)
    web.api.post(f"/jobs/{canceled}/cancel")
    done = make(web)
    ledger.finish(ledger.claim_and_send(done))
    running, waiting = make(web), make(web)
    ledger.claim(running)
    before = web.contents()
    for job_id in (waiting, canceled, running, done):
        response = web.api.post(f"/jobs/{job_id}/retry")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "not_retryable")
    assert web.contents() == before


def test_a_job_without_its_text_cannot_be_retried(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    web.store.delete(f"hg:jobtext:{job_id}")
    response = web.api.post(f"/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "text_gone")


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"anything at all"])
def test_an_action_requires_no_body(web: WebHarness, body: bytes) -> None:
    job_id = make(web)
    canceled = web.api.post(f"/jobs/{job_id}/cancel", content=body)
    assert canceled.json()["status"] == "canceled"
