"""People, shown and erased through the API."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.person_search import keys_about
from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "jenny.rosen", "text": "Hello, Jenny"}
PK = "3141592653"


def create(web: WebHarness, **changes: Any) -> str:
    response = web.api.post("/jobs", json={**DM, **changes})
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def test_everything_about_a_person_is_shown_in_one_answer(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given a DM of a rule, which was sent
    body = b'{"id": "evt_1", "type": "order.paid", "data": {"name": "Jenny"}}'
    [job_id] = web.deliver("stripe", body).json()["jobs"]
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim, pk=PK) == "ok"
    web.api.put("/suppressions/some.handle", json={"reason": "by phone"})

    shown = web.api.get("/people/some.handle").json()

    assert shown["person"]["names"] == ["some.handle", f"pk:{PK}"]
    assert shown["complete"] is True
    assert [entry["reason"] for entry in shown["suppressions"]] == ["by phone"]
    [job] = shown["items"]
    assert (job["id"], job["to"], job["pk"]) == (job_id, "some.handle", PK)
    assert job["text"] == "Thank you!"
    assert job["events"] == [{"source": "stripe", "id": "evt_1", "body": body.decode()}]
    assert [entry["decision"] for entry in job["audit"]] == ["send"]
    assert job["timeline"][-1]["status"] == "sending"
    assert job["kept_until"] == {"record": None, "text": None}
    # And when it has ended, until when it is kept
    assert ledger.finish(claim)
    [job] = web.api.get("/people/some.handle").json()["items"]
    assert job["kept_until"]["record"] is not None
    assert job["deliveries"][0]["payload"]["data"]["job_id"] == job_id


def test_pages_follow_each_other(web: WebHarness) -> None:
    ids = [create(web, delay_seconds=60) for _ in range(5)]

    first = web.api.get("/people/jenny.rosen", params={"limit": 3}).json()
    second = web.api.get("/people/jenny.rosen", params={"cursor": first["next"]}).json()

    assert [job["id"] for job in (*first["items"], *second["items"])] == ids[::-1]
    assert second["next"] is None
    assert "caches" not in second


@pytest.mark.parametrize("handle", ["jenny.rosen", "@Jenny.Rosen", " JENNY.ROSEN"])
def test_a_person_is_erased_under_any_form_of_the_name(web: WebHarness, handle: str) -> None:
    job_id = create(web, delay_seconds=60, callback="crm", metadata={"name": "Jenny"})

    erased = web.api.delete(f"/people/{handle}")

    assert (erased.status_code, erased.json()["done"]) == (200, True)
    assert erased.json()["erased"]["jobs"] == 1
    assert keys_about(web.store, "jenny") == []
    assert web.api.get("/people/jenny.rosen").json()["items"] == []
    job = web.api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["to"], job["metadata"]) == ("canceled", None, None)
    assert job["erased_at"] is not None


def test_the_erasure_is_audited_without_a_name(web: WebHarness) -> None:
    create(web, delay_seconds=60)
    web.api.delete("/people/jenny.rosen")

    entry = web.api.get("/audit").json()["items"][0]

    assert (entry["decision"], entry["by"], entry["account"]) == ("erase", "api:first", "*")
    assert entry["reason"].startswith("person ")
    assert entry["address"] == "127.0.0.1"


def test_a_person_of_whom_nothing_is_kept_is_no_error(web: WebHarness) -> None:
    assert web.api.get("/people/nobody").json()["items"] == []
    assert web.api.delete("/people/nobody").json()["done"] is True


def test_a_job_that_may_have_written_is_named(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = create(web)
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim) == "ok"

    refused = web.api.delete("/people/jenny.rosen")

    assert refused.status_code == 409
    error = refused.json()["error"]
    assert (error["code"], error["jobs"], error["done"]) == ("person_busy", [job_id], False)
    assert job_id in error["message"]
    assert ledger.finish(claim)
    assert web.api.delete("/people/jenny.rosen").json()["done"] is True


def test_an_erased_job_is_not_retried(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = create(web)
    claim = ledger.claim(job_id)
    ledger.finish(claim, Status.FAILED)
    web.api.delete("/people/jenny.rosen")

    refused = web.api.post(f"/jobs/{job_id}/retry")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "erased")


@pytest.mark.parametrize("handle", ["12345", "not a handle", "a@b.com", "pk:x"])
def test_what_names_nobody_is_refused(web: WebHarness, handle: str) -> None:
    for call in (web.api.get, web.api.delete):
        refused = call(f"/people/{handle}")
        assert refused.status_code == 422
        assert "handle" in refused.json()["error"]["message"]


def test_a_key_is_needed(web: WebHarness) -> None:
    assert web.http.get("/people/jenny.rosen").status_code == 401
    assert web.http.delete("/people/jenny.rosen").status_code == 401
