"""Verification codes for an account's next login, through the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from service.accounts.encryption import derive_keys
from service.accounts.verification_codes import CODE_HOLDS, VerificationCodes
from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.encryption import SECRET_KEY
from tests.support.ledger import LedgerHarness
from tests.support.store_dump import plain_values
from tests.support.web import WebHarness, connect, run_web

CODE = "719364"
PATH = "/accounts/shop/challenge"


def job_held(ledger: LedgerHarness, reason: str) -> str:
    """Create a job whose account is on hold after an error."""
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.HELD, effect=AccountEffect(hold=reason))
    return job_id


def kept(ledger: LedgerHarness, account: str = "shop") -> str | None:
    """The code that the next login would use."""
    taken = ledger.run(VerificationCodes(ledger.client, derive_keys(SECRET_KEY)).take(account))
    return None if taken is None else taken.code


@pytest.mark.parametrize("reason", sorted(CODE_HOLDS))
def test_a_code_ends_the_hold_that_waits_for_it(
    web: WebHarness, ledger: LedgerHarness, reason: str
) -> None:
    # Given a hold, after the day's logins are used up
    job_id = job_held(ledger, reason)
    web.store.hset("hg:logins:shop", "again", 1)
    # When
    answer = web.api.post(PATH, json={"code": CODE})
    # Then the hold is gone, the jobs continue, and the account may log in
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert answer.json().keys() == web.api.get("/accounts/shop").json().keys()
    assert ledger.status(job_id) is Status.QUEUED
    assert not web.store.exists("hg:logins:shop")
    assert kept(ledger) == CODE


@pytest.mark.parametrize("reason", ["checkpoint_required", "bad_password", "proxy_refused"])
def test_any_other_hold_stays_and_the_code_is_stored(
    web: WebHarness, ledger: LedgerHarness, reason: str
) -> None:
    job_id = job_held(ledger, reason)
    answer = web.api.post(PATH, json={"code": CODE})
    assert (answer.status_code, answer.json()["hold"]["reason"]) == (200, reason)
    assert ledger.status(job_id) is Status.HELD
    assert kept(ledger) == CODE


def test_a_pause_stays_and_the_code_is_stored(web: WebHarness, ledger: LedgerHarness) -> None:
    web.api.post("/accounts/shop/pause")
    assert web.api.post(PATH, json={"code": CODE}).json()["status"] == "paused"
    assert kept(ledger) == CODE


def test_a_code_that_no_hold_waits_for_is_stored_for_the_next_login(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    assert web.api.post(PATH, json={"code": CODE}).json()["status"] == "active"
    assert kept(ledger, "reader") is None
    assert kept(ledger) == CODE


def test_a_newer_code_replaces_the_older(web: WebHarness, ledger: LedgerHarness) -> None:
    for code in (CODE, "12 34-5678"):
        assert web.api.post(PATH, json={"code": code}).status_code == 200
    assert kept(ledger) == "12345678"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": None},
        {"code": 719364},
        {"code": ""},
        {"code": "719"},
        {"code": "7193641234567"},
        {"code": "719364!"},
        {"code": "7 " * 40},
        {"code": ["719364"]},
    ],
)
def test_an_invalid_code_is_rejected_and_not_repeated(
    web: WebHarness, ledger: LedgerHarness, body: dict[str, Any]
) -> None:
    job_held(ledger, "challenge_required")
    before = web.contents()
    response = web.api.post(PATH, json=body)
    assert response.status_code == 422
    assert [each["field"] for each in response.json()["error"]["fields"]] == ["code"]
    assert "719" not in response.text
    assert web.contents() == before


def test_a_body_is_required(web: WebHarness) -> None:
    assert web.api.post(PATH).status_code == 422
    assert web.api.post(PATH, json={"code": CODE, "totp": CODE}).status_code == 422
    assert web.contents() == {}


@pytest.mark.parametrize("name", ["nobody", "SHOP", "%00", "*"])
def test_an_unknown_account_is_not_found(web: WebHarness, name: str) -> None:
    answer = web.api.post(f"/accounts/{name}/challenge", json={"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_account")
    assert web.contents() == {}


def test_a_code_requires_a_key(web: WebHarness) -> None:
    assert web.http.post(PATH, json={"code": CODE}).status_code == 401
    assert web.contents() == {}


def test_a_code_is_in_no_response_no_log_and_not_in_plain_text_in_redis(
    capfd: pytest.CaptureFixture[str],
    store_url: str,
    tmp_path: Path,
    store: redis.Redis,
    ledger: LedgerHarness,
) -> None:
    job_held(ledger, "challenge_required")
    with run_web(store_url, tmp_path) as port, connect(port, store) as web:
        responses = [
            web.api.post(PATH, json={"code": CODE}),
            web.api.post(PATH, json={"code": f"{CODE}!"}),
            web.api.post(PATH, json={"cod": CODE}),
            web.api.post(PATH, content=f'{{"code": "{CODE}'),
            web.api.post("/accounts/nobody/challenge", json={"code": CODE}),
            web.api.get("/accounts/shop"),
        ]
        assert not [answer.text for answer in responses if CODE in answer.text]
        assert store.exists("hg:code:shop")
    assert CODE not in plain_values(store)
    assert CODE not in "".join(capfd.readouterr())
