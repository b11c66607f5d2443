"""Jobs: showing one, listing pages, and waiting for an end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local.wait import until
from service.jobs.model import Status
from tests.support.event_streams import feed_readers
from tests.support.ledger import RESULT, LedgerHarness
from tests.support.web import WebHarness, order

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
COMMENT = {"kind": "comment", "account": "shop", "post": "CxyZabcDEfg", "text": "Hello"}


def make(web: WebHarness, body: Mapping[str, Any] = DM, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json={**body, **changes}).json()["id"]
    return job_id


def ids(web: WebHarness, **query: Any) -> list[str]:
    answer = web.api.get("/jobs", params=query)
    assert answer.status_code == 200
    return [job["id"] for job in answer.json()["items"]]


def test_jobs_are_listed_newest_first_a_page_at_a_time(web: WebHarness) -> None:
    # Given
    made = [make(web) for _ in range(7)]

    # When
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = web.api.get("/jobs", params={"limit": 3, **cursor}).json()
        seen += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 3
        cursor = {"cursor": page["next"]}

    # Then
    assert seen == made[::-1]


def test_a_page_is_not_shifted_by_new_jobs(web: WebHarness) -> None:
    made = [make(web) for _ in range(4)]
    first = web.api.get("/jobs", params={"limit": 2}).json()
    make(web)
    second = ids(web, limit=2, cursor=first["next"])
    assert second == made[1::-1]


def test_jobs_are_filtered_by_status_account_kind_and_event(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given
    ended = make(web)
    ledger.finish(ledger.claim_and_send(ended))
    dm, comment, later = make(web), make(web, COMMENT), make(web, delay_seconds=60)
    (from_event,) = web.deliver("stripe", order("stripe", "evt/ä?#")).json()["jobs"]

    # Then
    assert ids(web, status="succeeded") == [ended]
    assert ids(web, status="scheduled") == [later]
    assert ids(web, kind="comment") == [comment]
    assert ids(web, kind="dm", status="queued") == [dm]
    assert ids(web, kind="dm", status="waiting") == [from_event]
    assert ids(web, account="shop") == [from_event, later, comment, dm, ended]
    assert ids(web, account="shop", kind="comment", status="succeeded") == []
    assert ids(web, event_id="evt/ä?#") == [from_event]
    assert ids(web, event_id="evt/ä?#", kind="comment") == []
    assert ids(web, event_id="evt_unknown") == []
    assert ids(web, account="nobody:*") == []


BAD_PAGES = {
    "cursor text": {"cursor": "abc"},
    "cursor negative": {"cursor": "-1"},
    "cursor huge": {"cursor": "9" * 16},
    "cursor empty": {"cursor": ""},
    "cursor other digits": {"cursor": "\uff11\uff12"},
    "limit 0": {"limit": "0"},
    "limit 201": {"limit": "201"},
    "limit text": {"limit": "many"},
    "limit fraction": {"limit": "1.5"},
}


@pytest.mark.parametrize("path", ["/jobs", "/events", "/deliveries"])
@pytest.mark.parametrize("query", BAD_PAGES.values(), ids=BAD_PAGES.keys())
def test_an_invalid_page_is_rejected_by_name(
    web: WebHarness, path: str, query: dict[str, str]
) -> None:
    assert rejected_fields(web, path, query) == [*query]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [("/jobs", "status", "done"), ("/jobs", "kind", "like"), ("/deliveries", "status", "done")],
)
def test_an_invalid_filter_is_rejected_by_name(
    web: WebHarness, path: str, name: str, value: str
) -> None:
    assert rejected_fields(web, path, {name: value}) == [name]


def rejected_fields(web: WebHarness, path: str, query: dict[str, str]) -> list[str]:
    response = web.api.get(path, params=query)
    assert response.status_code == 422
    return [item["field"] for item in response.json()["error"]["fields"]]


UNKNOWN_IDS = ("x", "job_", "job_" + "a" * 26, "%00", "*", "a%2Fb", "%F0%9F%98%80", "y" * 5000)


@pytest.mark.parametrize("job_id", UNKNOWN_IDS, ids=range(len(UNKNOWN_IDS)))
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        *(("GET", rest) for rest in ("", "/timeline", "/result", "?wait=5")),
        *(("POST", rest) for rest in ("/cancel", "/retry")),
    ],
)
def test_an_unknown_job_is_not_found(web: WebHarness, job_id: str, method: str, rest: str) -> None:
    answer = web.api.request(method, f"/jobs/{job_id}{rest}")
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"code", "message"}
    assert web.contents() == {}


def test_a_wait_ends_when_the_job_ends(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given a caller that waits
    job_id = make(web)
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(web.api.get, f"/jobs/{job_id}", params={"wait": 15})
        until(lambda: feed_readers(web.store))

        # When
        ledger.finish(ledger.claim_and_send(job_id))

        # Then
        answer = waiting.result(10)
    assert answer.json()["status"] == "succeeded"
    assert time.monotonic() - started < 5


def test_many_callers_wait_for_different_jobs(web: WebHarness, ledger: LedgerHarness) -> None:
    made = [make(web) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(web.api.get, f"/jobs/{job_id}?wait=15") for job_id in made]
        until(lambda: feed_readers(web.store))
        for job_id in made:
            ledger.finish(ledger.claim_and_send(job_id))
        responses = [answer.result(10).json() for answer in waiting]
    assert [answer["id"] for answer in responses] == made
    assert {answer["status"] for answer in responses} == {"succeeded"}


def test_a_wait_that_times_out_returns_the_job_as_it_is(web: WebHarness) -> None:
    job_id = make(web)
    started = time.monotonic()
    answer = web.api.get(f"/jobs/{job_id}", params={"wait": 0.3})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert 0.3 <= time.monotonic() - started < 2


def test_a_wait_for_an_ended_job_returns_at_once(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id))
    started = time.monotonic()
    assert web.api.get(f"/jobs/{job_id}?wait=20").json()["status"] == "succeeded"
    assert time.monotonic() - started < 1


def test_a_wait_is_capped(web: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.jobs.MAX_WAIT_SECONDS", 0.2)
    job_id = make(web)
    started = time.monotonic()
    assert web.api.get(f"/jobs/{job_id}", params={"wait": 1e9}).status_code == 200
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "soon", "-0.001"])
def test_an_invalid_wait_is_rejected(web: WebHarness, wait: str) -> None:
    refused = web.api.get(f"/jobs/{make(web)}", params={"wait": wait})
    assert refused.status_code == 422
    assert [item["field"] for item in refused.json()["error"]["fields"]] == ["wait"]


def test_waiting_callers_do_not_delay_webhooks(web: WebHarness) -> None:
    job_id = make(web)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(web.api.get, f"/jobs/{job_id}?wait=1.5") for _ in range(20)]
        until(lambda: feed_readers(web.store))
        assert web.deliver("stripe", order("stripe")).status_code == 202
        assert not any(answer.done() for answer in waiting)


def test_a_caller_that_disconnects_while_waiting_is_unsubscribed(web: WebHarness) -> None:
    job_id = make(web)
    with web.connect() as connection:
        head = f"GET /jobs/{job_id}?wait=1 HTTP/1.1\r\nHost: x\r\nAuthorization: "
        connection.sendall(f"{head}{web.api.headers['Authorization']}\r\n\r\n".encode())
        until(lambda: feed_readers(web.store))
    until(lambda: not feed_readers(web.store), seconds=8)


def test_the_timeline_lists_every_change_and_delivery(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = make(web, callback="crm")
    ledger.finish(ledger.claim_and_send(job_id))
    shown = web.api.get(f"/jobs/{job_id}/timeline").json()
    assert [entry["status"] for entry in shown["items"]] == [
        "queued",
        "running",
        "sending",
        "succeeded",
    ]
    assert set(shown["items"][0]) == {"at", "status", "by", "why"}
    (delivery,) = shown["deliveries"]
    assert (delivery["job_id"], delivery["type"]) == (job_id, "job.succeeded")


def test_a_succeeded_job_has_a_result(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    early = web.api.get(f"/jobs/{job_id}/result")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "no_result")
    ledger.finish(ledger.claim_and_send(job_id), Status.SUCCEEDED)
    assert web.api.get(f"/jobs/{job_id}/result").json() == {"result": RESULT}
