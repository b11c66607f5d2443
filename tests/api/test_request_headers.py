"""Headers of requests and responses: HEAD, request ids, replays and rate limits."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from service.http.failed_authentication import MAX_FAILURES
from tests.api.test_jobs import DM
from tests.support.openapi import document
from tests.support.web import API_KEY, WebHarness

#: Of a new response each time, or of a connection.
VARYING = {"x-request-id", "date", "connection", "age"}
READS = sorted(path for path, methods in document()["paths"].items() if "get" in methods)


def names(response: httpx.Response) -> dict[str, str]:
    pairs = response.headers.items()
    return {name: value for name, value in pairs if name not in VARYING}


@pytest.mark.parametrize("path", [*READS, "/docs", "/openapi.json", "/nope", "/jobs:preview"])
def test_head_answers_as_get_does_without_a_body(web: WebHarness, path: str) -> None:
    params: dict[str, str | int] = {"username": "x", "wait": 0} if path == "/users" else {}
    path = re.sub(r"\{\w+\}", "x", path)
    if path in ("/users/x", "/posts/x"):
        params = {"wait": 0}
    with web.api.stream("GET", path, params=params) as got:
        head = web.api.head(path, params=params)
        assert (head.status_code, head.content) == (got.status_code, b"")
        expected = names(got)
        expected.pop("transfer-encoding", None)
        if "metrics" not in path:  # two readings of counters
            assert names(head) == expected


def test_head_of_an_endless_stream_ends(web: WebHarness) -> None:
    response = web.api.head("/live")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    with web.api.stream("GET", "/live") as stream:  # its slot is free again
        assert stream.status_code == 200


def test_a_request_id_is_sent_back(web: WebHarness) -> None:
    response = web.api.get("/healthz", headers={"X-Request-ID": "abc-123"})
    assert response.headers["X-Request-ID"] == "abc-123"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ä", "a\tb"])
def test_an_unusable_request_id_is_replaced(web: WebHarness, given: str) -> None:
    response = web.api.get("/healthz", headers=[(b"X-Request-ID", given.encode())])
    assert re.fullmatch(r"req_[0-9a-f]{20}", response.headers["X-Request-ID"])


@pytest.mark.parametrize("path", ["/jobs", "/nope", "/jobs/x%2Fy", "/users/..", "/jobs?x=1"])
def test_every_response_has_an_id_of_its_own(web: WebHarness, path: str) -> None:
    ids = {web.http.get(path).headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


def test_a_repeated_request_says_that_it_is_one(web: WebHarness) -> None:
    def create(**changes: Any) -> httpx.Response:
        return web.api.post("/jobs", json={**DM, **changes}, headers={"Idempotency-Key": "k1"})

    first, second = create(), create()
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in create(text="Other").headers


def test_a_throttled_client_is_told_the_limit(web: WebHarness) -> None:
    wrong = {"Authorization": "Bearer wrong", "X-Forwarded-For": "203.0.113.77"}
    for _ in range(MAX_FAILURES + 1):
        response = web.http.get("/jobs", headers=wrong)
    assert response.status_code == 429
    seconds = response.headers["Retry-After"]
    assert response.headers["RateLimit"] == f'"failed-authentication";r=0;t={seconds}'
    assert response.headers["RateLimit-Policy"] == f'"failed-authentication";q={MAX_FAILURES};w=60'
    right = {**wrong, "Authorization": f"Bearer {API_KEY}"}
    assert web.http.get("/jobs", headers=right).status_code == 200
