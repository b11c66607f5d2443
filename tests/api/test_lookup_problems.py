"""Look-ups that Instagram refuses, or that nobody makes now: what the answer says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.jobs.model import Status
from tests.support.ledgers import SECOND, Books
from tests.support.lookups import error_of, fail, flying, jobs, known
from tests.support.web import Door

MINUTE = 60 * SECOND
USER_FRESH, POST_FRESH = 300 * SECOND, 60 * SECOND


def test_nobody_of_that_name_is_not_found_and_not_looked_for_again_for_a_minute(
    door: Door, books: Books, name: str, asking: ThreadPoolExecutor
) -> None:
    asked = asking.submit(door.api.get, f"/users/{name}")
    fail(books, flying(door)[0], "user_not_found")
    for answer in (asked.result(), door.api.get(f"/users/{name}")):
        assert answer.status_code == 404
        error = error_of(answer)
        assert (error["code"], error["reason"]) == ("not_found", "user_not_found")
        assert error["message"] == "There is no such user."
        assert answer.headers["Cache-Control"].startswith("private, max-age=")
    assert len(jobs(door, kind="lookup")) == 1
    books.pass_time(MINUTE)
    assert door.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202


def test_who_is_gone_takes_the_copy_along(
    door: Door, another: Door, books: Books, name: str
) -> None:
    known(door, books, name)
    books.pass_time(USER_FRESH + SECOND)
    another.api.get(f"/users/{name}")
    fail(books, flying(door)[0], "user_not_found")
    assert another.api.get(f"/users/{name}").status_code == 404


@pytest.mark.parametrize(
    ("path", "code", "status", "told"),
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
def test_each_refusal_of_instagram_has_its_status(
    door: Door, books: Books, path: str, code: str, status: int, told: str
) -> None:
    assert door.api.get(path, params={"wait": 0}).status_code == 202
    fail(books, flying(door)[0], code)
    answer = door.api.get(path)
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["reason"]) == (status, told, code)
    assert "job" not in error["message"].lower()
    if status == 502:
        assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_a_copy_outlives_errors_and_says_so(
    door: Door, another: Door, books: Books, name: str
) -> None:
    found = known(door, books, name)
    books.pass_time(USER_FRESH + SECOND)
    another.api.get(f"/users/{name}")
    fail(books, flying(door)[0], "timed_out")
    # When it is asked for in the minute in which it is not looked up again, and after it
    for expected in (1 + 1, 1 + 1 + 1):
        answer = another.api.get(f"/users/{name}")
        assert (answer.status_code, answer.json()) == (200, found)
        assert answer.headers["Warning"] == '111 - "Revalidation Failed: timed_out"'
        assert len(jobs(door, kind="lookup")) == expected
        books.pass_time(MINUTE)
    item = another.api.get("/users", params={"username": name}).json()["items"][0]
    assert (item["warning"], item["age_seconds"] >= 300) == ("timed_out", True)


def test_a_look_up_that_was_canceled_says_so(
    door: Door, books: Books, name: str, asking: ThreadPoolExecutor
) -> None:
    asked = asking.submit(door.api.get, f"/users/{name}")
    [job_id] = flying(door)
    assert door.api.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    answer = asked.result()
    assert (answer.status_code, error_of(answer)["code"]) == (503, "lookup_ended")
    assert answer.headers["Retry-After"] == "1"
    assert door.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202


def test_a_look_up_whose_turn_does_not_come_ends_by_itself(
    door: Door, books: Books, name: str
) -> None:
    door.api.get(f"/users/{name}", params={"wait": 0})
    [job_id] = flying(door)
    books.wakeups()
    books.pass_time(5 * MINUTE + SECOND)
    books.tick()
    assert books.status(job_id) in (Status.EXPIRED, Status.QUEUED)
    assert books.try_claim(job_id) is None
    assert (
        door.api.get(f"/users/{name}", params={"wait": 0}).headers["Location"] != f"/jobs/{job_id}"
    )
