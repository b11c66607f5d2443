"""Replies that leave open whether a session or an account is over, through the real client.

Bodies as they were seen in public; the places are named with them.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import HOUR

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

Reply = tuple[int, Any]

_WAIT: Final = "Please wait a few minutes before you try again."
_LOGGED_OUT: Final = {
    "message": "login_required",
    "error_title": "You've Been Logged Out",
    "error_body": "Please log back in.",
    "logout_reason": 8,
    "status": "fail",
}
#: The session is over, whatever the status.
OVER: Final[dict[str, Reply]] = {
    # Datalux/Osintgram issue 782
    "login_required at 403": (403, _LOGGED_OUT),
    # ramtinak/InstagramApiSharp issue 116, at other statuses
    "login_required at 400": (
        400,
        {"message": "login_required", "logout_reason": 2, "status": "fail"},
    ),
    "login_required at 401": (401, {"message": "login_required", "status": "fail"}),
    "login_required inside a 200": (200, {"message": "login_required", "status": "fail"}),
    # dilame/instagram-private-api src/core/request.ts and issue 1602
    "user_has_logged_out at 400": (400, {"message": "user_has_logged_out", "status": "fail"}),
    "user_has_logged_out at 403": (
        403,
        {"message": "user_has_logged_out", "logout_reason": 9, "status": "fail"},
    ),
    "user_has_logged_out inside a 200": (200, {"message": "user_has_logged_out", "status": "fail"}),
}
#: The account's own page decides.
DOUBTFUL: Final[dict[str, Reply]] = {
    # Datalux/Osintgram issues 1095 and 1099
    "require_login and wait at 401": (
        401,
        {"message": _WAIT, "require_login": True, "status": "fail"},
    ),
    # obitouka/InstagramPrivSniffer issue 41
    "require_login and wait, newer": (
        401,
        {"message": _WAIT, "require_login": True, "igweb_rollout": True, "status": "fail"},
    ),
    # aiograpi 2.1.2 mixins/private.py
    "Unauthorized at 401": (401, {"message": "Unauthorized", "status": "fail"}),
    "401 of nothing but a status": (401, {"status": "fail"}),
}
#: What a proxy, or anything between, may say.
NO_PROOF: Final[dict[str, Reply]] = {
    "401 without a body": (401, ""),
    "401 with a page": (401, "<html><h1>401 Authorization Required</h1></html>"),
}
#: aiograpi 2.1.2 mixins/private.py takes the second for a challenge.
BARE_404: Final[dict[str, Reply]] = {
    "nothing": (404, ""),
    "two words": (404, "Not Found"),
    "a page": (404, "<!DOCTYPE html><title>Page not found</title>"),
}
DEAD: Final[Reply] = (401, {"message": _WAIT, "require_login": True, "status": "fail"})
CHALLENGE: Final[Reply] = (
    400,
    {
        # Datalux/Osintgram issue 2578
        "message": "challenge_required",
        "challenge": {"url": "https://i.instagram.com/challenge/AbC/dEf/", "lock": True},
        "status": "fail",
    },
)


def refuse(worker: AccountWorker, call: str, reply: Reply, times: int | None = 1) -> None:
    status, body = reply
    worker.fake_instagram.fault(call, status=status, body=body, times=times)


def logged_in(worker: AccountWorker) -> None:
    worker.attempt(worker.ledger.add_job(to="an.earlier.one"))
    assert worker.passwords() == 1


def own_page_reads(worker: AccountWorker) -> int:
    return [entry["call"] for entry in worker.fake_instagram.log()].count("current_user")


def dms(worker: AccountWorker) -> int:
    """The DMs of the job under test: the first one logged the account in."""
    return len(worker.fake_instagram.dms()) - 1


@pytest.fixture
def worker(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> Any:
    with open_account_worker(store_url, fake_instagram) as worker:
        fake_instagram.add_user("an.earlier.one")
        logged_in(worker)
        yield worker


@pytest.mark.parametrize("call", ["usernameinfo", "broadcast_text"])
@pytest.mark.parametrize("name", OVER)
def test_a_session_that_is_over_is_renewed_at_once(
    worker: AccountWorker, call: str, name: str
) -> None:
    refuse(worker, call, OVER[name])
    job = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    assert (job.status, worker.passwords(), dms(worker)) == (Status.SUCCEEDED, 2, 1)
    assert own_page_reads(worker) == 0


@pytest.mark.parametrize("call", ["usernameinfo", "broadcast_text"])
@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_session_in_doubt_is_renewed_when_the_own_page_agrees(
    worker: AccountWorker, call: str, name: str
) -> None:
    refuse(worker, call, DOUBTFUL[name])
    refuse(worker, "current_user", DEAD)
    job = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    assert (job.status, worker.passwords(), dms(worker)) == (Status.SUCCEEDED, 2, 1)
    assert own_page_reads(worker) == 1


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_session_that_the_own_page_accepts_is_kept(worker: AccountWorker, name: str) -> None:
    refuse(worker, "broadcast_text", DOUBTFUL[name])
    job_id = worker.ledger.add_job(to="jenny.rosen")
    waits_for_all = "wait" in name
    assert worker.attempt(job_id).status is Status.WAITING
    assert worker.account()["status"] == ("cooling_down" if waits_for_all else "active")
    worker.run_due(2 * HOUR)
    assert worker.ledger.status(job_id) is Status.SUCCEEDED
    assert (worker.passwords(), dms(worker)) == (1, 1)


@pytest.mark.parametrize("own_page", [(401, ""), (404, "Not Found"), (500, "")], ids=str)
def test_an_own_page_that_says_nothing_proves_nothing(
    worker: AccountWorker, own_page: Reply
) -> None:
    refuse(worker, "usernameinfo", DOUBTFUL["Unauthorized at 401"])
    refuse(worker, "current_user", own_page)
    job = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    assert (job.status, job.wait_reason) == (Status.WAITING, "unauthorized")
    assert (worker.account()["status"], worker.passwords()) == ("active", 1)


@pytest.mark.parametrize("name", NO_PROOF)
def test_a_401_that_is_not_instagrams_proves_nothing(worker: AccountWorker, name: str) -> None:
    refuse(worker, "usernameinfo", NO_PROOF[name])
    job_id = worker.ledger.add_job(to="jenny.rosen")
    assert worker.attempt(job_id).status is Status.WAITING
    assert (worker.account()["status"], worker.passwords()) == ("active", 1)
    assert own_page_reads(worker) == 0
    worker.run_due(HOUR)
    assert (worker.ledger.status(job_id), dms(worker)) == (Status.SUCCEEDED, 1)


def test_a_second_dead_session_in_a_day_holds_the_account(worker: AccountWorker) -> None:
    refuse(worker, "usernameinfo", OVER["user_has_logged_out at 403"], times=2)
    first = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    assert (first.status, worker.account()["hold"]["reason"]) == (Status.HELD, "login_required")
    worker.resume()
    worker.run_due()
    assert (worker.ledger.status(first.id), worker.passwords()) == (Status.SUCCEEDED, 2)


def test_a_session_that_dies_again_on_the_same_day_gets_no_other_password(
    worker: AccountWorker,
) -> None:
    for to in ("jenny.rosen", "some.handle"):
        refuse(worker, "usernameinfo", OVER["login_required at 403"])
        job = worker.attempt(worker.ledger.add_job(to=to))
    assert (job.status, worker.passwords()) == (Status.HELD, 2)
    assert worker.account()["hold"]["reason"] == "relogin_exceeded"


@pytest.mark.parametrize("name", BARE_404)
def test_one_bare_404_is_the_jobs_trouble(worker: AccountWorker, name: str) -> None:
    refuse(worker, "usernameinfo", BARE_404[name])
    job_id = worker.ledger.add_job(to="jenny.rosen")
    job = worker.attempt(job_id)
    assert (job.status, job.wait_reason) == (Status.WAITING, "not_found_unclear")
    assert worker.account()["status"] == "active"
    worker.run_due(HOUR)
    assert (worker.ledger.status(job_id), dms(worker)) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("name", BARE_404)
def test_a_bare_404_of_a_write_is_looked_up_before_it_is_repeated(
    worker: AccountWorker, name: str
) -> None:
    status, body = BARE_404[name]
    worker.fake_instagram.fault("broadcast_text", status_after_effect=status, body=body)
    job_id = worker.ledger.add_job(to="jenny.rosen")
    assert worker.attempt(job_id).status is Status.SENDING
    worker.run_due(HOUR)
    assert (worker.ledger.status(job_id), dms(worker)) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("own_page", [*BARE_404.values(), CHALLENGE], ids=str)
def test_a_second_path_that_agrees_holds_the_account(
    worker: AccountWorker, own_page: Reply
) -> None:
    refuse(worker, "usernameinfo", BARE_404["two words"])
    refuse(worker, "current_user", own_page)
    job = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    hold = worker.account()["hold"]
    assert (job.status, hold["reason"]) == (Status.HELD, "challenge_required")
    assert "Confirm" in hold["note"]


def test_a_bare_404_of_a_dead_session_costs_one_login(worker: AccountWorker) -> None:
    refuse(worker, "usernameinfo", BARE_404["nothing"])
    refuse(worker, "current_user", DEAD)
    job_id = worker.ledger.add_job(to="jenny.rosen")
    assert worker.attempt(job_id).status is Status.WAITING
    worker.run_due(HOUR)
    assert (worker.ledger.status(job_id), worker.passwords()) == (Status.SUCCEEDED, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 200])
def test_a_challenge_is_known_by_its_words(worker: AccountWorker, status: int) -> None:
    refuse(worker, "usernameinfo", (status, CHALLENGE[1]))
    job = worker.attempt(worker.ledger.add_job(to="jenny.rosen"))
    assert (job.status, worker.account()["hold"]["reason"]) == (Status.HELD, "challenge_required")
    assert worker.passwords() == 1
