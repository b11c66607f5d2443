"""Acts by people are in the audit log: what, by whose key and from where; never a secret."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from service.jobs.person_keys import PersonKeys
from tests.support.encryption import SECRET_KEY
from tests.support.ledger import LedgerHarness
from tests.support.sessions import document, of_device
from tests.support.web import API_KEY, WebHarness, order

JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "a private text"}
ADDRESS = "203.0.113.40"
FROM = {"X-Forwarded-For": ADDRESS}


def entries(web: WebHarness) -> list[dict[str, Any]]:
    """The audit log, oldest first."""
    found: list[dict[str, Any]] = web.api.get("/audit", params={"limit": 200}).json()["items"]
    return found[::-1]


def audited(web: WebHarness, response: httpx.Response) -> dict[str, Any]:
    """The entry of an act, which is the latest."""
    assert response.is_success, response.text
    entry = entries(web)[-1]
    assert (entry["by"], entry["address"]) == ("api:first", ADDRESS)
    assert API_KEY not in str(entry)
    return entry


def job_of(web: WebHarness) -> str:
    job_id: str = web.api.post("/jobs", json=JOB).raise_for_status().json()["id"]
    return job_id


@pytest.mark.parametrize(
    ("path", "body", "decision", "reason", "account"),
    [
        ("/accounts/shop/pause", {}, "hold", "paused", "shop"),
        ("/accounts/shop/pause", {"kind": "dm"}, "hold", "paused:dm", "shop"),
        ("/accounts/shop/resume", {}, "resume", None, "shop"),
        ("/accounts/shop/resume", {"kind": "dm"}, "resume", "paused:dm", "shop"),
        ("/pause", {"reason": "fire"}, "hold", "everything", "*"),
        ("/resume", {}, "resume", "everything", "*"),
        ("/accounts/shop/challenge", {"code": "123 456"}, "verification_code", None, "shop"),
    ],
)
def test_an_act_on_accounts_is_logged(
    web: WebHarness, path: str, body: dict[str, str], decision: str, reason: str, account: str
) -> None:
    entry = audited(web, web.api.post(path, json=body, headers=FROM))
    assert (entry["decision"], entry["reason"], entry["account"]) == (decision, reason, account)
    assert "123456" not in str(entries(web))


def test_a_pause_of_an_account_that_is_paused_or_held_is_logged_too(web: WebHarness) -> None:
    for _ in range(2):
        audited(web, web.api.post("/accounts/shop/pause", headers=FROM))
    assert [entry["decision"] for entry in entries(web)] == ["hold", "hold"]


def test_the_resume_that_a_code_causes_is_logged_with_its_sender(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    hold = AccountEffect(hold="challenge_required")
    ledger.release(ledger.claim(ledger.add_job()), Status.HELD, effect=hold)
    code = web.api.post("/accounts/shop/challenge", json={"code": "123456"}, headers=FROM)
    entry = audited(web, code)
    assert (entry["decision"], entry["reason"]) == ("resume", "challenge_required")


def test_a_cancel_is_logged_with_its_job(web: WebHarness, ledger: LedgerHarness) -> None:
    waiting, running = job_of(web), job_of(web)
    entry = audited(web, web.api.post(f"/jobs/{running}/cancel", headers=FROM))
    assert (entry["decision"], entry["job_id"], entry["to"]) == ("cancel", running, "some.handle")
    ledger.claim(waiting)
    entry = audited(web, web.api.post(f"/jobs/{waiting}/cancel", headers=FROM))
    assert (entry["decision"], entry["job_id"]) == ("cancel", waiting)
    assert "a private text" not in str(entries(web))


def test_a_cancel_that_does_nothing_is_not_logged(web: WebHarness) -> None:
    job_id = job_of(web)
    for _ in range(3):
        web.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert web.api.post("/jobs/job_unknown/cancel").status_code == 404
    assert [entry["decision"] for entry in entries(web)] == ["cancel"]


def test_a_retry_is_logged_with_its_job(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = job_of(web)
    ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    entry = audited(web, web.api.post(f"/jobs/{job_id}/retry", headers=FROM))
    assert (entry["decision"], entry["job_id"]) == ("retry", job_id)


def test_a_replay_is_logged_with_its_event(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe", "evt_replayed"))
    entry = audited(web, web.api.post("/events/evt_replayed/replay", headers=FROM))
    assert (entry["decision"], entry["event_id"]) == ("replay", "evt_replayed")
    assert entry["account"] == "*"


@pytest.mark.parametrize("name", ["some.handle", "pk:314159"])
def test_suppressions_are_logged_when_they_are_set_and_removed(web: WebHarness, name: str) -> None:
    path = f"/suppressions/{name}"
    added = audited(web, web.api.put(path, json={"reason": "asked us"}, headers=FROM))
    assert (added["decision"], added["account"]) == ("suppress", "*")
    removed = audited(web, web.api.delete(path, params={}, headers=FROM))
    assert (removed["decision"], removed["account"]) == ("unsuppress", "*")
    # Whom they are about is there as a key, which outlives the person's data.
    assert added["reason"] == removed["reason"] == f"person {PersonKeys([SECRET_KEY]).key(name)}"
    assert name.removeprefix("pk:") not in str(entries(web))
    assert web.api.delete(path).status_code == 404
    assert len(entries(web)) == 2


def test_sessions_are_logged_when_they_are_imported_and_reset(web: WebHarness) -> None:
    path = "/accounts/reader/session"
    imported = audited(web, web.api.put(path, json=document(), headers=FROM))
    assert (imported["decision"], imported["account"]) == ("session_import", "reader")
    other = of_device("another")
    assert web.api.put(path, json=other, headers=FROM).status_code == 409
    assert len(entries(web)) == 1
    reset = audited(web, web.api.put(f"{path}?reset_device=true", json=other, headers=FROM))
    assert reset["decision"] == "session_reset"
    assert "uuids" not in str(entries(web))
