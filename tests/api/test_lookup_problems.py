"""Lookups that fail at Instagram, or that no account can do: what the response says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.jobs.model import Status
from tests.support.ledger import SECOND, LedgerHarness
from tests.support.lookups import cache_profile, error_of, fail_lookup, list_jobs, pending_lookups
from tests.support.web import WebHarness

MINUTE = 60 * SECOND
USER_FRESH, POST_FRESH = 300 * SECOND, 60 * SECOND


def test_an_unknown_user_is_not_found_and_not_looked_up_again_for_a_minute(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    requests = executor.submit(web.api.get, f"/users/{name}")
    fail_lookup(ledger, pending_lookups(web)[0], "user_not_found")
    for response in (requests.result(), web.api.get(f"/users/{name}")):
        assert response.status_code == 404
        error = error_of(response)
        assert (error["code"], error["reason"]) == ("not_found", "user_not_found")
        assert error["message"] == "There is no such user."
        assert response.headers["Cache-Control"].startswith("private, max-age=")
    assert len(list_jobs(web, kind="lookup")) == 1
    ledger.pass_time(MINUTE)
    assert web.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202


def test_a_user_that_is_gone_removes_the_copy(
    web: WebHarness, second_web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    cache_profile(web, ledger, name)
    ledger.pass_time(USER_FRESH + SECOND)
    second_web.api.get(f"/users/{name}")
    fail_lookup(ledger, pending_lookups(web)[0], "user_not_found")
    assert second_web.api.get(f"/users/{name}").status_code == 404


@pytest.mark.parametrize(
    ("path", "code", "status", "expected"),
    [
        ("/posts/DNZCmWE8gAB", "media_not_found", 404, "not_found"),
        ("/posts/DNZCmWE8gAB", "media_unavailable", 404, "not_found"),
        ("/posts/DNZCmWE8gAB", "invalid_media_id", 404, "not_found"),
        ("/posts/DNZCmWE8gAB", "private_account", 403, "private"),
        ("/users/some.body", "age_restricted", 403, "private"),
        ("/users/some.body", "timed_out", 502, "upstream_error"),
        ("/users/some.body", "reply_unexpected", 502, "upstream_error"),
    ],
)
def test_each_instagram_error_has_its_status(
    web: WebHarness, ledger: LedgerHarness, path: str, code: str, status: int, expected: str
) -> None:
    assert web.api.get(path, params={"wait": 0}).status_code == 202
    fail_lookup(ledger, pending_lookups(web)[0], code)
    response = web.api.get(path)
    error = error_of(response)
    assert (response.status_code, error["code"], error["reason"]) == (status, expected, code)
    assert "job" not in error["message"].lower()
    if status == 502:
        assert 1 <= int(response.headers["Retry-After"]) <= 60


def test_a_copy_survives_errors_with_a_warning(
    web: WebHarness, second_web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    found = cache_profile(web, ledger, name)
    ledger.pass_time(USER_FRESH + SECOND)
    second_web.api.get(f"/users/{name}")
    fail_lookup(ledger, pending_lookups(web)[0], "timed_out")
    # When it is requested within the minute without a new lookup, and after it
    for expected in (1 + 1, 1 + 1 + 1):
        response = second_web.api.get(f"/users/{name}")
        assert (response.status_code, response.json()) == (200, found)
        assert response.headers["Warning"] == '111 - "Revalidation Failed: timed_out"'
        assert len(list_jobs(web, kind="lookup")) == expected
        ledger.pass_time(MINUTE)
    item = second_web.api.get("/users", params={"username": name}).json()["items"][0]
    assert (item["warning"], item["age_seconds"] >= 300) == ("timed_out", True)


def test_a_canceled_lookup_is_reported(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    requests = executor.submit(web.api.get, f"/users/{name}")
    [job_id] = pending_lookups(web)
    assert web.api.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    response = requests.result()
    assert (response.status_code, error_of(response)["code"]) == (503, "lookup_ended")
    assert response.headers["Retry-After"] == "1"
    assert web.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202


def test_a_lookup_that_never_gets_a_turn_expires(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    web.api.get(f"/users/{name}", params={"wait": 0})
    [job_id] = pending_lookups(web)
    ledger.take_messages()
    ledger.pass_time(5 * MINUTE + SECOND)
    ledger.heartbeat()
    assert ledger.status(job_id) in (Status.EXPIRED, Status.QUEUED)
    assert ledger.try_claim(job_id) is None
    assert (
        web.api.get(f"/users/{name}", params={"wait": 0}).headers["Location"] != f"/jobs/{job_id}"
    )
