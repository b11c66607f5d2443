"""A list of jobs in one request: each has its own outcome and idempotency."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.api.job_lists import MAX_JOBS
from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def send(web: WebHarness, jobs: list[Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return web.api.post("/jobs", json=jobs, headers=headers)


def dms(count: int) -> list[dict[str, Any]]:
    return [{**DM, "to": f"handle{n}"} for n in range(count)]


def ids(answer: httpx.Response) -> list[str]:
    return [item["job"]["id"] for item in answer.json()["items"]]


def test_all_jobs_of_a_list_are_created_in_its_order(web: WebHarness) -> None:
    answer = send(web, dms(MAX_JOBS))
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [(item["status"], item["error"]) for item in items] == [(202, None)] * MAX_JOBS
    assert [item["job"]["to"] for item in items] == [f"handle{n}" for n in range(MAX_JOBS)]
    assert len(set(ids(answer))) == MAX_JOBS
    assert web.store.zcard("hg:jobs") == MAX_JOBS


def test_a_job_that_is_refused_does_not_keep_the_others_from_being_created(
    web: WebHarness,
) -> None:
    answer = send(
        web,
        [
            DM,
            {**DM, "acount": "shop"},
            "no object",
            {**DM, "account": "nobody"},
            {**DM, "text": "x" * 1001},
            {**DM, "photo": "http://127.0.0.1/a.png", "text": None},
            {**DM, "to": "other"},
        ],
    )
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["status"] for item in items] == [202, 422, 422, 422, 422, 422, 202]
    refused = [item["error"] for item in items if item["error"]]
    assert {error["code"] for error in refused} == {"invalid_request"}
    fields = [error["fields"][0]["field"] for error in refused]
    assert fields == ["acount", "body", "account", "text", "photo"]
    assert all(item["job"] is None for item in items if item["error"])
    assert web.store.zcard("hg:jobs") == 2


def test_the_same_list_with_the_same_key_returns_the_same_jobs(web: WebHarness) -> None:
    first = send(web, dms(5), "batch-7")
    before = web.contents()
    again = send(web, dms(5), "batch-7")
    assert (again.status_code, ids(again)) == (200, ids(first))
    assert web.contents() == before


def test_with_the_same_key_only_what_is_new_in_a_list_is_created(web: WebHarness) -> None:
    first = send(web, dms(2), "batch-7")
    longer = send(web, [*dms(2), {**DM, "to": "third"}], "batch-7")
    assert ids(longer)[:2] == ids(first)
    assert web.store.zcard("hg:jobs") == 3
    changed = send(web, [{**DM, "to": "other"}, dms(2)[1]], "batch-7")
    conflict, same = changed.json()["items"]
    assert changed.status_code == 200
    assert (conflict["status"], conflict["error"]["code"]) == (409, "idempotency_conflict")
    assert conflict["error"]["job_id"] == ids(first)[0]
    assert same["job"]["id"] == ids(first)[1]


def test_each_job_may_have_a_key_of_its_own(web: WebHarness) -> None:
    keyed = [{**job, "idempotency_key": f"order-{n}"} for n, job in enumerate(dms(3))]
    first = send(web, keyed, "batch-1")
    again = send(web, keyed[::-1], "batch-2")
    assert ids(again) == ids(first)[::-1]
    # As the header of a request for that job alone
    alone = web.api.post("/jobs", json=dms(1)[0], headers={"Idempotency-Key": "order-0"})
    assert alone.json()["id"] == ids(first)[0]


def test_a_key_that_is_twice_in_a_list_makes_one_job(web: WebHarness) -> None:
    keyed = {**DM, "idempotency_key": "order-1"}
    one, same, other = send(web, [keyed, keyed, {**keyed, "to": "other"}]).json()["items"]
    assert one["job"] == same["job"]
    assert other["status"] == 409


def test_the_key_of_a_list_is_no_key_of_a_job(web: WebHarness) -> None:
    listed = ids(send(web, [DM], "order-1"))[0]
    alone = web.api.post("/jobs", json=DM, headers={"Idempotency-Key": "order-1"})
    assert (alone.status_code, alone.json()["id"] == listed) == (202, False)


@pytest.mark.parametrize("count", [0, MAX_JOBS + 1])
def test_a_list_has_1_to_100_jobs(web: WebHarness, count: int) -> None:
    before = web.contents()
    answer = send(web, [DM] * count)
    assert answer.status_code == 422
    (field,) = answer.json()["error"]["fields"]
    assert field["field"] == "body"
    assert str(MAX_JOBS if count else 1) in field["message"]
    assert web.contents() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [("7", "body"), ('"dm"', "body"), ("null", "body"), ("{}", "kind"), ('{"kind": 1}', "kind")],
)
def test_a_body_that_is_no_list_is_refused_as_one_job(
    web: WebHarness, body: str, field: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = web.api.post("/jobs", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["field"] == field


def test_a_key_of_a_job_is_only_for_lists(web: WebHarness) -> None:
    answer = web.api.post("/jobs", json={**DM, "idempotency_key": "order-1"})
    assert answer.json()["error"]["fields"][0]["field"] == "idempotency_key"
