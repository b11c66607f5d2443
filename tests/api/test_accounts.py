"""Accounts: their state, pausing and resuming."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def make(web: WebHarness) -> str:
    job_id: str = web.api.post("/jobs", json=DM).json()["id"]
    return job_id


def test_every_configured_account_is_listed_without_its_credentials(web: WebHarness) -> None:
    answer = web.api.get("/accounts")
    listed = {account["name"]: account for account in answer.json()["items"]}
    assert {name: account["role"] for name, account in listed.items()} == {
        "shop": "both",
        "reader": "read",
    }
    assert {account["status"] for account in listed.values()} == {"active"}
    assert "INSTAGRAM" not in answer.text
    assert web.contents() == {}


def test_an_account_shows_its_waiting_jobs(web: WebHarness, ledger: LedgerHarness) -> None:
    first, second = make(web), make(web)
    ledger.claim(first)
    assert ledger.try_claim(second) is None
    shown = web.api.get("/accounts/shop").json()
    assert shown["jobs"] == {"waiting": 1, "held": 0, "turn": first}
    wait = web.api.get(f"/jobs/{second}").json()["wait"]
    assert (wait["reason"], wait["position"]) == ("turn", 0)
    assert wait["until"].endswith("Z")


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"reason": "moving house"}'])
def test_a_pause_holds_jobs_until_a_resume(
    web: WebHarness, ledger: LedgerHarness, body: bytes
) -> None:
    # When it is paused
    headers = {"Content-Type": "application/json"} if body else {}
    paused = web.api.post("/accounts/shop/pause", content=body, headers=headers)

    # Then
    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    assert paused.json()["hold"]["reason"] == "paused"
    assert paused.json()["hold"]["note"] in (None, "moving house")
    job_id = make(web)
    assert ledger.try_claim(job_id) is None
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "held"

    # When it is resumed
    resumed = web.api.post("/accounts/shop/resume", content=body, headers=headers)

    # Then
    assert (resumed.status_code, resumed.json()["status"]) == (200, "active")
    assert resumed.json()["hold"] is None
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "queued"


def test_a_resume_ends_a_cooldown(web: WebHarness, ledger: LedgerHarness) -> None:
    claim = ledger.claim(make(web))
    effect = AccountEffect(cooldown="rate_limited", kind="dm", cooldown_ms=60_000)
    ledger.release(claim, Status.WAITING, after_ms=60_000, effect=effect)
    shown = web.api.get("/accounts/shop").json()
    assert shown["status"] == "cooling_down"
    (cooldown,) = shown["cooldowns"]
    assert (cooldown["kind"], cooldown["reason"]) == ("dm", "rate_limited")
    assert web.api.post("/accounts/shop/resume").json()["cooldowns"] == []


def test_pausing_and_resuming_are_idempotent(web: WebHarness) -> None:
    for action, status in (("pause", "paused"), ("resume", "active")):
        for _ in range(2):
            answer = web.api.post(f"/accounts/shop/{action}")
            assert (answer.status_code, answer.json()["status"]) == (200, status)


@pytest.mark.parametrize(
    "body", [{"reason": "x" * 201}, {"reason": 7}, {"reason": ["a"]}, {"why": "x"}]
)
def test_an_invalid_reason_is_rejected(web: WebHarness, body: dict[str, Any]) -> None:
    response = web.api.post("/accounts/shop/pause", json=body)
    assert response.status_code == 422
    assert [item["field"] for item in response.json()["error"]["fields"]] == list(body)
    assert web.contents() == {}


@pytest.mark.parametrize("name", ["nobody", "SHOP", "%00", "*", "shop%0A", "x" * 5000])
@pytest.mark.parametrize("rest", ["", "/pause", "/resume"])
def test_an_unknown_account_is_not_found(web: WebHarness, name: str, rest: str) -> None:
    answer = web.api.request("POST" if rest else "GET", f"/accounts/{name}{rest}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_account")
    assert web.contents() == {}
