"""Idempotency-Key: the same key and body return the same job, separately for each caller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.web import OTHER_KEY, WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def ask(
    web: WebHarness, key: str | None, body: dict[str, Any] = DM, **headers: str
) -> httpx.Response:
    given = {} if key is None else {"Idempotency-Key": key}
    return web.api.post("/jobs", json=body, headers={**given, **headers})


def test_the_same_key_and_body_return_the_same_job(web: WebHarness) -> None:
    first = ask(web, "order-7")
    before = web.contents()
    again = ask(web, "order-7", {**dict(reversed(DM.items())), "priority": 5})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert web.contents() == before


@pytest.mark.parametrize(
    "changes", [{"text": "Other"}, {"to": "other"}, {"priority": 6}, {"metadata": {}}]
)
def test_the_same_key_with_another_body_is_a_conflict(
    web: WebHarness, changes: dict[str, Any]
) -> None:
    first = ask(web, "order-7")
    before = web.contents()
    conflict = ask(web, "order-7", {**DM, **changes})
    assert conflict.status_code == 409
    assert conflict.json()["error"]["code"] == "idempotency_conflict"
    assert conflict.json()["error"]["job_id"] == first.json()["id"]
    assert web.contents() == before


def test_another_caller_with_the_same_key_gets_another_job(web: WebHarness) -> None:
    first = ask(web, "order-7")
    other = ask(web, "order-7", Authorization=f"Bearer {OTHER_KEY}")
    assert other.status_code == 202
    assert other.json()["id"] != first.json()["id"]


def test_another_key_or_none_creates_another_job(web: WebHarness) -> None:
    made = [ask(web, key).json()["id"] for key in ("order-7", "order-8", None, None)]
    assert len(set(made)) == 4


def test_concurrent_requests_with_one_key_create_one_job(web: WebHarness) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: ask(web, "order-7"), range(16)))
    assert {answer.status_code for answer in responses} == {202}
    assert len({answer.json()["id"] for answer in responses}) == 1
    assert web.store.zcard("hg:jobs") == 1


def test_a_rejected_request_does_not_use_up_its_key(web: WebHarness) -> None:
    assert ask(web, "order-7", {**DM, "account": "nobody"}).status_code == 422
    assert ask(web, "order-7").status_code == 202


def test_a_key_of_255_characters_is_accepted(web: WebHarness) -> None:
    assert ask(web, "k" * 255).status_code == 202


@pytest.mark.parametrize("key", ["", "a b", "k" * 256])
def test_an_invalid_key_is_rejected_by_name(web: WebHarness, key: str) -> None:
    response = ask(web, key)
    assert response.status_code == 422
    assert [item["field"] for item in response.json()["error"]["fields"]] == ["Idempotency-Key"]
    assert web.contents() == {}
