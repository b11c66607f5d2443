"""Refused logins through the real client: one password, and a reason for whoever must act."""

from __future__ import annotations

from typing import Final

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.login_refusals import LOGIN_REFUSALS, Channel
from service.jobs.model import Status
from tests.instagram.login_replies import LOGIN_REPLIES, LoginReply
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import HOUR

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

BY_NAME = {reply.name: reply for reply in LOGIN_REPLIES}
#: Requests of a login before the password, and after the session.
BEFORE = (
    "usdid_register",
    "process_client_data",
    "attestation",
    "oauth_token_fetch",
    "password_key",
)
AFTER = ("reels_tray", "timeline")
WRONG_PASSWORD = BY_NAME["wrong password"]
CHALLENGE = BY_NAME["challenge"]
#: Where the current flow points to the old one (instagrapi pull request 2803).
FALLBACK = {
    "layout": {
        "bloks_payload": {"data": [{"data": {"key": "CAA_LOGIN_FALLBACK:fallback_triggered"}}]}
    },
    "status": "ok",
}


def refuse(worker: AccountWorker, call: str, reply: LoginReply, times: int | None = None) -> None:
    worker.fake_instagram.fault(call, status=reply.status, body=reply.body, times=times)


def assert_kept(worker: AccountWorker, job_id: str, reply: LoginReply) -> None:
    """The account is held or rests for the reply's reason, and the job waits."""
    account, job = worker.account(), worker.ledger.record(job_id)
    assert account["status"] == reply.account
    if reply.account == "held":
        assert account["hold"]["reason"] == reply.code
        assert reply.said in account["hold"]["note"]
        assert (job.status, job.wait_reason) == (Status.HELD, reply.code)
    else:
        (cooldown,) = account["cooldowns"]
        assert (cooldown["kind"], cooldown["reason"]) == ("*", reply.code)
        assert (job.status, job.wait_reason) == (Status.WAITING, reply.code)


@pytest.mark.parametrize("reply", LOGIN_REPLIES, ids=lambda reply: reply.name)
def test_a_refused_password_is_sent_once_for_each_resume(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, reply: LoginReply
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        # Given two jobs of an account that Instagram refuses
        refuse(worker, "login", reply)
        first, second = worker.ledger.add_job(), worker.ledger.add_job()
        # Then one password is sent, whoever comes next and however long that takes
        worker.attempt(first)
        worker.run_due()
        assert worker.passwords() == 1
        assert_kept(worker, first, reply)
        if reply.account == "held":
            worker.run_due(8 * 24 * HOUR)
            assert worker.passwords() == 1
            assert worker.ledger.record(second).status is Status.HELD
        # When a person resumes it, then one more is sent
        worker.resume()
        worker.run_due()
        assert worker.passwords() == 2
        assert_kept(worker, first, reply)
        # When Instagram lets it in, then both jobs are done
        worker.fake_instagram.clear_faults()
        worker.resume()
        worker.run_due()
        assert {worker.ledger.status(first), worker.ledger.status(second)} == {Status.SUCCEEDED}
        assert worker.passwords() == 3


#: What must follow the fake Instagram's own refusals, through whatever channel they come.
NAMED: Final = {
    "login_inactive": "account_disabled",
    "login_ip_block": "proxy_address_blocked",
    "login_unknown_username": "unknown_username",
    "login_username_not_found": "unknown_username",
    "login_bad_password": "bad_password",
    "login_facebook": "facebook_login_required",
    "login_unusable_password": "password_reset_required",
    "login_rate_limit": "please_wait",
    "login_outdated": "client_outdated",
    "login_sentry_block": "sentry_block",
    "login_feedback": "feedback_required",
    "login_generic": "login_refused",
    "login_needs_code": "two_factor_required",
    "login_challenge": "challenge_required",
    "login_checkpoint": "checkpoint_required",
    "login_field_exception": "login_refused",
}
#: Passwords of one login: the current flow's, and where Instagram points to it, the old one's.
PASSWORDS: Final[dict[Channel, int]] = {"caa": 1, "bloks": 1, "legacy": 2, "silent": 1}


def reason(worker: AccountWorker) -> str:
    account = worker.account()
    return str((account["hold"] or account["cooldowns"][0])["reason"])


@pytest.mark.parametrize("channel", PASSWORDS)
def test_a_refusal_means_the_same_through_every_channel(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, channel: Channel
) -> None:
    for name, code in NAMED.items():
        with open_account_worker(store_url, fake_instagram) as worker:
            fake_instagram.refuse_logins("shop", name, channel=channel)
            worker.attempt(worker.ledger.add_job())
            worker.run_due(60_000)
            expected = "login_refused" if channel == "silent" else code
            assert (name, reason(worker)) == (name, expected)
            assert (name, worker.passwords()) == (name, PASSWORDS[channel])


def test_the_table_has_every_refusal_of_the_fake_instagram() -> None:
    assert set(LOGIN_REFUSALS) - set(NAMED) == {"login_server_error"}


@pytest.mark.parametrize("call", BEFORE)
@pytest.mark.parametrize(
    "reply", [CHALLENGE, BY_NAME["words that nobody knows"]], ids=lambda r: r.name
)
def test_a_refusal_before_the_password_keeps_it_from_being_sent(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, call: str, reply: LoginReply
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        refuse(worker, call, reply)
        job_id = worker.ledger.add_job()
        worker.attempt(job_id)
        assert worker.passwords() == 0
        assert_kept(worker, job_id, reply)


@pytest.mark.parametrize("call", AFTER)
def test_a_challenge_right_after_the_login_holds_the_account(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, call: str
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        refuse(worker, call, CHALLENGE)
        job_id = worker.ledger.add_job()
        worker.attempt(job_id)
        assert worker.passwords() == 1
        assert_kept(worker, job_id, CHALLENGE)
        # The session is kept: when a person has confirmed it, no password is needed.
        worker.fake_instagram.clear_faults()
        worker.resume()
        worker.run_due()
        assert (worker.ledger.status(job_id), worker.passwords()) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("call", AFTER)
@pytest.mark.parametrize("name", ["words that nobody knows", "nothing but a 404", "a page"])
def test_a_feed_that_is_refused_does_not_undo_the_login(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, call: str, name: str
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        refuse(worker, call, BY_NAME[name], times=1)
        job_id = worker.ledger.add_job()
        worker.attempt(job_id)
        assert worker.account()["status"] == "active"
        worker.run_due(HOUR)
        assert (worker.ledger.status(job_id), worker.passwords()) == (Status.SUCCEEDED, 1)


def test_the_old_flow_that_instagram_points_to_gets_the_password_once(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        worker.fake_instagram.fault("login", status=200, body=FALLBACK, times=None)
        refuse(worker, "login_legacy", WRONG_PASSWORD)
        job_id = worker.ledger.add_job()
        worker.attempt(job_id)
        worker.run_due(8 * 24 * HOUR)
        assert worker.passwords() == 2  # one by each flow
        assert_kept(worker, job_id, WRONG_PASSWORD)


@pytest.mark.parametrize("effect", ["drop_before", "truncate"])
def test_a_login_without_a_verdict_is_tried_again_a_few_times(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, effect: str
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        worker.fake_instagram.fault("login", effect, times=2)
        job_id = worker.ledger.add_job()
        assert worker.attempt(job_id).status is Status.WAITING
        worker.run_due()
        assert worker.passwords() == 1  # not before the wait is over
        worker.run_due(HOUR)
        worker.run_due(HOUR)
        assert (worker.ledger.status(job_id), worker.passwords()) == (Status.SUCCEEDED, 3)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_login_that_meets_a_server_error_is_tried_five_times_a_day(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, status: int
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        body = "<html>Bad Gateway</html>"
        worker.fake_instagram.fault("login", status=status, body=body, times=None)
        job_id = worker.ledger.add_job()
        for _ in range(6):
            worker.run_due(HOUR)
        assert worker.passwords() == 5
        assert worker.account()["hold"]["reason"] == "relogin_exceeded"
        assert worker.ledger.status(job_id) is Status.HELD


@pytest.mark.parametrize(("asked", "hours"), [("7200", 2), ("60", 1), ("soon", 1)])
def test_an_account_rests_as_long_as_instagram_asks_at_a_login(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, asked: str, hours: int
) -> None:
    with open_account_worker(store_url, fake_instagram) as worker:
        worker.fake_instagram.fault(
            "login", status=429, body="", headers={"Retry-After": asked}, times=1
        )
        job_id = worker.ledger.add_job()
        worker.attempt(job_id)
        worker.run_due(hours * HOUR - 60_000)
        assert worker.passwords() == 1
        worker.run_due(120_000)
        assert (worker.ledger.status(job_id), worker.passwords()) == (Status.SUCCEEDED, 2)


def test_what_is_shown_of_unknown_words_names_nobody(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> None:
    said = "Dear @shop, call +1 555 010 9999 or see https://example.com/u/shop for j***@mail.com"
    with open_account_worker(store_url, fake_instagram) as worker:
        worker.fake_instagram.fault(
            "login", status=400, body={"message": said, "status": "fail"}, times=None
        )
        worker.attempt(worker.ledger.add_job())
        note = worker.account()["hold"]["note"]
        assert "Dear ..." in note
        assert not [part for part in ("shop", "555", "example", "mail") if part in note]
