"""Codes for an account's next login, through the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from service.accounts.encryption import derive_keys
from service.accounts.verification_codes import ANSWERABLE, VerificationCodes
from service.jobs.claims import AccountEffect
from service.jobs.model import Status
from tests.support.ledgers import Books
from tests.support.values import plain_values
from tests.support.web import SECRET_KEY, Door, opened, serving

CODE = "719364"
PATH = "/accounts/shop/challenge"


def job_held(books: Books, reason: str) -> str:
    """A job whose account an error has put on hold."""
    job_id = books.job()
    books.release(books.claim(job_id), Status.HELD, effect=AccountEffect(hold=reason))
    return job_id


def kept(books: Books, account: str = "shop") -> str | None:
    """The code that the next login would be given, with the application's SECRET_KEY."""
    taken = books.run(VerificationCodes(books.client, derive_keys(SECRET_KEY)).take(account))
    return None if taken is None else taken.code


@pytest.mark.parametrize("reason", sorted(ANSWERABLE))
def test_a_code_ends_the_hold_that_waits_for_it(door: Door, books: Books, reason: str) -> None:
    # Given a hold, after a day's logins
    job_id = job_held(books, reason)
    door.store.hset("hg:logins:shop", "again", 1)
    # When
    answer = door.api.post(PATH, json={"code": CODE})
    # Then the account is shown without it, its jobs go on, and it may log in
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert answer.json().keys() == door.api.get("/accounts/shop").json().keys()
    assert books.status(job_id) is Status.QUEUED
    assert not door.store.exists("hg:logins:shop")
    assert kept(books) == CODE


@pytest.mark.parametrize("reason", ["checkpoint_required", "bad_password", "proxy_refused"])
def test_any_other_hold_stays_and_the_code_is_kept(door: Door, books: Books, reason: str) -> None:
    job_id = job_held(books, reason)
    answer = door.api.post(PATH, json={"code": CODE})
    assert (answer.status_code, answer.json()["hold"]["reason"]) == (200, reason)
    assert books.status(job_id) is Status.HELD
    assert kept(books) == CODE


def test_a_pause_stays_and_the_code_is_kept(door: Door, books: Books) -> None:
    door.api.post("/accounts/shop/pause")
    assert door.api.post(PATH, json={"code": CODE}).json()["status"] == "paused"
    assert kept(books) == CODE


def test_a_code_for_an_account_that_waits_for_none_is_kept_for_its_next_login(
    door: Door, books: Books
) -> None:
    assert door.api.post(PATH, json={"code": CODE}).json()["status"] == "active"
    assert kept(books, "reader") is None
    assert kept(books) == CODE


def test_a_newer_code_replaces_the_one_before(door: Door, books: Books) -> None:
    for code in (CODE, "12 34-5678"):
        assert door.api.post(PATH, json={"code": code}).status_code == 200
    assert kept(books) == "12345678"


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
def test_what_cannot_be_a_code_is_refused_and_not_repeated(
    door: Door, books: Books, body: dict[str, Any]
) -> None:
    job_held(books, "challenge_required")
    before = door.contents()
    refused = door.api.post(PATH, json=body)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["error"]["fields"]] == ["code"]
    assert "719" not in refused.text
    assert door.contents() == before


def test_a_body_is_needed(door: Door) -> None:
    assert door.api.post(PATH).status_code == 422
    assert door.api.post(PATH, json={"code": CODE, "totp": CODE}).status_code == 422
    assert door.contents() == {}


@pytest.mark.parametrize("name", ["nobody", "SHOP", "%00", "*"])
def test_an_unknown_account_is_not_found(door: Door, name: str) -> None:
    answer = door.api.post(f"/accounts/{name}/challenge", json={"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_account")
    assert door.contents() == {}


def test_a_code_comes_from_a_caller_with_a_key(door: Door) -> None:
    assert door.http.post(PATH, json={"code": CODE}).status_code == 401
    assert door.contents() == {}


def test_a_code_is_in_no_answer_no_log_and_not_plain_in_the_store(
    capfd: pytest.CaptureFixture[str],
    store_url: str,
    tmp_path: Path,
    store: redis.Redis,
    books: Books,
) -> None:
    job_held(books, "challenge_required")
    with serving(store_url, tmp_path) as port, opened(port, store) as door:
        answers = [
            door.api.post(PATH, json={"code": CODE}),
            door.api.post(PATH, json={"code": f"{CODE}!"}),
            door.api.post(PATH, json={"cod": CODE}),
            door.api.post(PATH, content=f'{{"code": "{CODE}'),
            door.api.post("/accounts/nobody/challenge", json={"code": CODE}),
            door.api.get("/accounts/shop"),
        ]
        assert not [answer.text for answer in answers if CODE in answer.text]
        assert store.exists("hg:code:shop")
    assert CODE not in plain_values(store)
    assert CODE not in "".join(capfd.readouterr())
