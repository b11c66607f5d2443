"""Canceling and retrying: what may be done to a job in each of its states."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Status
from tests.support.ledgers import Books
from tests.support.web import Door

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def make(door: Door, **changes: Any) -> str:
    job_id: str = door.api.post("/jobs", json={**DM, **changes}).json()["id"]
    return job_id


@pytest.mark.parametrize("delay", [0, 60])
def test_a_job_that_has_not_begun_is_canceled(door: Door, delay: int) -> None:
    job_id = make(door, delay_seconds=delay, callback="crm")
    canceled = door.api.post(f"/jobs/{job_id}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    last = door.api.get(f"/jobs/{job_id}/timeline").json()["items"][-1]
    assert (last["status"], last["by"]) == ("canceled", "api:first")


def test_canceling_twice_is_no_error_and_changes_nothing(door: Door) -> None:
    job_id = make(door, callback="crm")
    first = door.api.post(f"/jobs/{job_id}/cancel")
    before = door.contents()
    again = door.api.post(f"/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    assert door.contents() == before


def test_a_running_job_is_asked_to_stop_and_does_not_write(door: Door, books: Books) -> None:
    job_id = make(door)
    claim = books.claim(job_id)
    asked = door.api.post(f"/jobs/{job_id}/cancel")
    assert asked.status_code == 200
    assert (asked.json()["status"], asked.json()["cancel_requested"]) == ("running", True)
    assert books.intend(claim) == "canceled"
    assert door.api.get(f"/jobs/{job_id}").json()["status"] == "canceled"


def test_a_job_that_is_writing_is_too_late_to_cancel(door: Door, books: Books) -> None:
    job_id = make(door)
    books.sending(job_id)
    late = door.api.post(f"/jobs/{job_id}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "too_late")


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN])
def test_a_job_that_has_ended_is_too_late_to_cancel(
    door: Door, books: Books, status: Status
) -> None:
    job_id = make(door)
    books.finish(books.sending(job_id), status)
    before = door.contents()
    late = door.api.post(f"/jobs/{job_id}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "too_late")
    assert str(status) in late.json()["error"]["message"]
    assert door.contents() == before


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNCERTAIN])
def test_a_failed_or_uncertain_job_opens_its_next_run(
    door: Door, books: Books, status: Status
) -> None:
    # Given
    job_id = make(door, callback="crm")
    books.finish(books.sending(job_id), status)

    # When
    again = door.api.post(f"/jobs/{job_id}/retry")

    # Then
    assert again.status_code == 202
    job = again.json()
    assert (job["id"], job["status"], job["run"], job["error"]) == (job_id, "queued", 2, None)
    books.finish(books.claim(job_id))
    types = [item["type"] for item in door.api.get(f"/jobs/{job_id}/timeline").json()["deliveries"]]
    assert types == [f"job.{status}", "job.succeeded"]


def test_only_failed_and_uncertain_jobs_are_retried(door: Door, books: Books) -> None:
    canceled = make(door)
    door.api.post(f"/jobs/{canceled}/cancel")
    done = make(door)
    books.finish(books.sending(done))
    running, waiting = make(door), make(door)
    books.claim(running)
    before = door.contents()
    for job_id in (waiting, canceled, running, done):
        refused = door.api.post(f"/jobs/{job_id}/retry")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_retryable")
    assert door.contents() == before


def test_a_job_whose_text_is_gone_cannot_be_retried(door: Door, books: Books) -> None:
    job_id = make(door)
    books.finish(books.sending(job_id), Status.FAILED)
    door.store.delete(f"hg:jobtext:{job_id}")
    refused = door.api.post(f"/jobs/{job_id}/retry")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "text_gone")


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"anything at all"])
def test_an_action_does_not_want_a_body(door: Door, body: bytes) -> None:
    job_id = make(door)
    canceled = door.api.post(f"/jobs/{job_id}/cancel", content=body)
    assert canceled.json()["status"] == "canceled"
