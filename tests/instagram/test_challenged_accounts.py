"""Challenges through the real client: what the account's hold says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.state import SHOP_PASSWORD
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import HOUR

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

CODE = "719364"
#: subzeroid/instagrapi issue 866, inside the reply that refuses a login
NAMED_STEP = {
    "message": "challenge_required",
    "status": "fail",
    "step_name": "verify_email",
    "step_data": {"contact_point": "s****p@example.com", "security_code": "None"},
    "nonce_code": "DrW8V4m5Ec",
}


@pytest.fixture
def worker(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> Iterator[AccountWorker]:
    with open_account_worker(store_url, fake_instagram) as worker:
        yield worker


def held(worker: AccountWorker) -> tuple[str, dict[str, Any]]:
    """A job that meets a hold, and the hold as the API shows it."""
    job_id = worker.ledger.add_job()
    worker.attempt(job_id)
    assert worker.ledger.status(job_id) is Status.HELD
    hold: dict[str, Any] = worker.account()["hold"]
    assert (hold["reason"], hold["job_id"]) == ("challenge_required", job_id)
    return job_id, hold


def test_a_login_that_wants_a_code_accepts_one_and_ends_with_it(worker: AccountWorker) -> None:
    worker.fake_instagram.add_account("shop", SHOP_PASSWORD, profile_code=CODE)

    job_id, hold = held(worker)

    assert (hold["accepts_code"], hold["instagram"]["at"]) == (True, "login")
    assert "POST /accounts/shop/challenge" in hold["remedy"]
    worker.submit_code(CODE)
    worker.run_due()
    assert worker.ledger.status(job_id) is Status.SUCCEEDED


def test_a_login_whose_refusal_names_the_step_says_where_the_code_went(
    worker: AccountWorker,
) -> None:
    worker.fake_instagram.fault("login", status=400, body=NAMED_STEP)

    _, hold = held(worker)

    assert hold["instagram"] == {
        "at": "login",
        "kind": None,
        "step": "verify_email",
        "sent_to": "s****p@example.com",
        "url": None,
    }
    assert hold["accepts_code"]
    assert "to s****p@example.com: POST /accounts/shop/challenge" in hold["remedy"]
    assert "DrW8V4m5Ec" not in str(worker.account())


@pytest.mark.parametrize(("kind", "named"), [("email_code", None), ("selfie", "native")])
def test_a_challenge_of_a_valid_session_is_for_the_app_and_no_code_helps(
    worker: AccountWorker, kind: str, named: str | None
) -> None:
    # Given an account that is logged in
    worker.attempt(worker.ledger.add_job())
    worker.run_due(HOUR)
    worker.fake_instagram.challenge("shop", kind, CODE)

    _, hold = held(worker)

    assert (hold["instagram"]["at"], hold["instagram"]["kind"]) == ("call", named)
    assert hold["instagram"]["url"].startswith("https://i.instagram.com/challenge/")
    assert not hold["accepts_code"]
    assert "/challenge" not in hold["remedy"]
