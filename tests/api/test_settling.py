"""A person settles a job whose outcome no machine could tell."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Status
from tests.support.deliveries import ATTEMPT
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness

DM: dict[str, Any] = {
    "kind": "dm",
    "account": "shop",
    "to": "some.handle",
    "text": "Hello",
    "callback": "crm",
}
PK = "314159"


def uncertain(web: WebHarness, ledger: LedgerHarness, **changes: Any) -> str:
    """A job that may have written; return its id."""
    job_id: str = web.api.post("/jobs", json={**DM, **changes}).json()["id"]
    assert ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    return job_id


def settle(web: WebHarness, job_id: str, settled_as: str, **more: Any) -> Any:
    return web.api.post(f"/jobs/{job_id}/settle", json={"as": settled_as, **more})


def test_a_write_that_is_there_is_settled_as_sent(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = uncertain(web, ledger)

    answer = settle(web, job_id, "sent", note="seen in the app")

    job = answer.json()
    settled = job["result"].pop("settled")
    assert (answer.status_code, job["status"], job["error"]) == (200, "succeeded", None)
    assert job["result"] == {"client_context": "token"}
    assert settled.pop("at") == job["finished_at"]
    assert settled == {"as": "sent", "by": "api:first", "note": "seen in the app"}
    found = web.api.get(f"/jobs/{job_id}").json()
    assert found == {**found, **answer.json()}
    assert audit(ledger) == []


def test_a_write_that_is_not_there_is_settled_as_not_sent(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)

    job = settle(web, job_id, "not_sent").json()

    assert (job["status"], job["error"]["code"]) == ("failed", "settled_not_sent")
    assert job["error"]["retryable"] is False
    assert (job["result"]["settled"]["as"], job["result"]["settled"]["note"]) == ("not_sent", None)
    assert audit(ledger) == []


@pytest.mark.parametrize(
    ("settled_as", "callback"), [("sent", "job.succeeded"), ("not_sent", "job.failed")]
)
def test_settling_sends_a_callback_beside_that_of_the_uncertain_run(
    web: WebHarness, ledger: LedgerHarness, settled_as: str, callback: str
) -> None:
    # Given an uncertain job whose callback was delivered
    job_id = uncertain(web, ledger)
    first = ledger.deliveries_of(job_id)[0]
    claim = ledger.run(ledger.deliveries.claim(first["id"], "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, "delivered", ATTEMPT))

    # When
    settle(web, job_id, settled_as, note="asked her")

    # Then
    earlier, later = web.api.get(f"/jobs/{job_id}/timeline").json()["deliveries"]
    assert (earlier["type"], later["type"]) == ("job.uncertain", callback)
    assert earlier["id"] == first["id"] != later["id"]
    payload = web.api.get(f"/deliveries/{later['id']}").json()["payload"]
    assert (payload["type"], payload["data"]["job_id"]) == (callback, job_id)
    assert payload["data"]["result"]["settled"]["note"] == "asked her"
    assert web.api.get(f"/deliveries/{first['id']}").json()["payload"] == first["payload"]


def test_the_audit_log_and_the_timeline_say_who_settled_it(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)

    settle(web, job_id, "not_sent", note="the thread is empty: «Grüße»")

    entry = web.api.get("/audit?limit=1").json()["items"][0]
    assert (entry["decision"], entry["reason"], entry["by"]) == ("settle", "not_sent", "api:first")
    assert (entry["job_id"], entry["to"]) == (job_id, "some.handle")
    assert (entry["address"], entry["note"]) == ("127.0.0.1", "the thread is empty: «Grüße»")
    last = web.api.get(f"/jobs/{job_id}/timeline").json()["items"][-1]
    assert (last["by"], last["why"]) == ("api:first", "settled as not_sent")


def test_the_note_of_an_earlier_settlement_is_not_that_of_a_later_one(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)
    settle(web, job_id, "not_sent", note="first")
    ledger.pass_time(1_000)
    web.api.post(f"/jobs/{job_id}/retry")
    claim = ledger.claim(job_id)
    assert claim.verify_first
    assert ledger.finish(claim, Status.UNCERTAIN)
    settle(web, job_id, "not_sent", note="second")

    entries = web.api.get("/audit").json()["items"]

    notes = [entry["note"] for entry in entries if entry["decision"] == "settle"]
    assert notes == ["second", None]


@pytest.mark.parametrize("settled_as", ["sent", "not_sent"])
def test_settling_twice_in_the_same_way_changes_nothing_more(
    web: WebHarness, ledger: LedgerHarness, settled_as: str
) -> None:
    job_id = uncertain(web, ledger)
    first = settle(web, job_id, settled_as, note="one")
    before = web.contents()

    again = settle(web, job_id, settled_as, note="two")

    assert (again.status_code, again.json()) == (200, first.json())
    assert web.contents() == before


@pytest.mark.parametrize(("first", "second"), [("sent", "not_sent"), ("not_sent", "sent")])
def test_what_is_settled_is_not_settled_otherwise(
    web: WebHarness, ledger: LedgerHarness, first: str, second: str
) -> None:
    job_id = uncertain(web, ledger)
    job = settle(web, job_id, first).json()
    before = web.contents()

    refused = settle(web, job_id, second)

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "not_uncertain")
    assert job["status"] in error["message"]
    assert web.contents() == before


def test_only_uncertain_jobs_are_settled(web: WebHarness, ledger: LedgerHarness) -> None:
    waiting = web.api.post("/jobs", json=DM).json()["id"]
    done = web.api.post("/jobs", json={**DM, "to": "another"}).json()["id"]
    ledger.finish(ledger.claim_and_send(waiting))
    ledger.finish(ledger.claim_and_send(done), Status.FAILED)
    before = web.contents()
    for job_id in (waiting, done):
        refused = settle(web, job_id, "sent")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_uncertain")
    assert settle(web, "job_unknown", "sent").json()["error"]["code"] == "unknown_job"
    assert web.contents() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "as"),
        ({"as": None}, "as"),
        ({"as": "maybe"}, "as"),
        ({"as": "sent", "note": "x" * 201}, "note"),
        ({"as": "sent", "note": 5}, "note"),
        ({"as": "sent", "reason": "seen"}, "reason"),
        ({"settled_as": "sent"}, "as"),
    ],
)
def test_a_settlement_that_cannot_be_used_names_the_field(
    web: WebHarness, ledger: LedgerHarness, body: dict[str, Any], field: str
) -> None:
    job_id = uncertain(web, ledger)
    before = web.contents()

    refused = web.api.post(f"/jobs/{job_id}/settle", json=body)

    assert refused.status_code == 422
    assert field in {entry["field"] for entry in refused.json()["error"]["fields"]}
    assert web.contents() == before


def test_a_job_settled_as_not_sent_is_looked_for_before_a_retry_sends_it(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)
    settle(web, job_id, "not_sent")

    again = web.api.post(f"/jobs/{job_id}/retry")

    assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert (again.json()["run"], again.json()["result"]) == (3, None)
    claim = ledger.claim(job_id)
    assert (claim.verify_first, claim.text) == (True, "Hello")


def test_the_text_of_a_job_settled_as_sent_is_deleted(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)
    assert web.store.exists(f"hg:jobtext:{job_id}")

    settle(web, job_id, "sent")

    assert not web.store.exists(f"hg:jobtext:{job_id}")


def test_what_is_settled_as_sent_tells_that_there_is_a_thread(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    one, other = uncertain(web, ledger), uncertain(web, ledger, to="another", account="shop")
    settle(web, one, "not_sent")
    assert not web.store.exists(f"hg:thread:shop:{PK}")

    settle(web, other, "sent")

    assert web.store.exists(f"hg:thread:shop:{PK}")


def test_a_settled_job_is_found_by_the_code_of_its_settlement(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = uncertain(web, ledger)
    settle(web, job_id, "not_sent")
    codes = ("refused", "settled_not_sent")
    found = [web.api.get("/jobs", params={"code": code}).json()["items"] for code in codes]
    assert [[job["id"] for job in each] for each in found] == [[], [job_id]]


def test_statistics_count_a_settled_job_once_and_as_it_was_settled(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    settle(web, uncertain(web, ledger), "sent")
    total = web.api.get("/stats").json()["total"]
    assert (total["sent"], total["uncertain"], total["failed"]["total"]) == (1, 0, 0)
