"""Rows of follower exports over HTTP: formats, cursors, ends and expiry."""

from __future__ import annotations

import csv
import io
import itertools
import json
from typing import Any

import httpx
import pytest

from service.jobs.model import Status
from tests.support.follower_rows import claim_and_append, row, rows, started_export
from tests.support.ledger import RESULT, SECOND, TIMES, LedgerHarness
from tests.support.web import WebHarness

NDJSON, CSV, JSON = "application/x-ndjson", "text/csv", "application/json"


def result(web: WebHarness, job_id: str, accept: str | None = None, **query: Any) -> httpx.Response:
    headers = {} if accept is None else {"Accept": accept}
    return web.api.get(f"/jobs/{job_id}/result", params=query, headers=headers)


def lines(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.split("\n") if line]


def head(response: httpx.Response) -> tuple[str, str, str]:
    """The next cursor, whether it is complete, and the status of the export."""
    names = ("Next-Cursor", "Complete", "Status")
    next_cursor, complete, status = (response.headers[f"Heliograph-{name}"] for name in names)
    return next_cursor, complete, status


@pytest.fixture
def export_id(ledger: LedgerHarness) -> str:
    """A running export that has found 2,400 followers."""
    return started_export(ledger, 12, expected=2_450)


# -- formats


def test_rows_are_ndjson_by_default(web: WebHarness, export_id: str) -> None:
    response = result(web, export_id)
    assert response.headers["Content-Type"] == NDJSON
    assert lines(response) == rows(0, 2_400)
    assert response.text.endswith("}\n")
    assert list(rows(0, 1)[0]) == ["pk", "username", "full_name", "is_private", "is_verified"]


def test_rows_are_csv_on_request(web: WebHarness, export_id: str) -> None:
    response = result(web, export_id, CSV)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{export_id}.csv"'
    sheet = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert [each["pk"] for each in sheet] == [each["pk"] for each in rows(0, 2_400)]
    # And with a cursor the rows continue where another response ended
    more = result(web, export_id, CSV, cursor=2_399)
    assert more.text == response.text.splitlines(keepends=True)[-1]


def test_rows_are_a_page_of_json_on_request(web: WebHarness, export_id: str) -> None:
    query: dict[str, Any] = {}
    found = []
    for expected in ("1000", "2000", "2400", "2400"):
        page = result(web, export_id, JSON, **query)
        assert page.headers["Content-Type"] == JSON
        found += page.json()["items"]
        query = {"cursor": page.json()["next"]}
        assert (query["cursor"], head(page)) == (expected, (expected, "false", "queued"))
    assert found == rows(0, 2_400)


def test_a_page_of_json_has_at_most_a_thousand_rows(web: WebHarness, export_id: str) -> None:
    for limit, count in ((1, 1), (199, 199), (1_000, 1_000), (5_000, 1_000)):
        assert result(web, export_id, JSON, limit=limit).json()["items"] == rows(0, count)


def test_the_preferred_format_is_sent(web: WebHarness, export_id: str) -> None:
    liked = "text/csv;q=0.5, application/json;q=0.9, */*;q=0.1"
    assert result(web, export_id, liked).headers["Content-Type"] == JSON
    twice = [("Accept", "text/html"), ("Accept", "text/csv")]
    response = web.api.get(f"/jobs/{export_id}/result", headers=httpx.Headers(twice))
    assert response.headers["Content-Type"].startswith(CSV)


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0"])
def test_an_unacceptable_format_is_rejected_with_the_formats_there_are(
    web: WebHarness, export_id: str, accept: str
) -> None:
    response = result(web, export_id, accept)
    assert (response.status_code, response.json()["error"]["code"]) == (406, "not_acceptable")
    assert all(form in response.json()["error"]["message"] for form in (NDJSON, CSV, JSON))


def test_names_are_escaped_in_ndjson_and_csv(web: WebHarness, ledger: LedgerHarness) -> None:
    names = ["=1+1", "a\u2028b", "\u0085", 'x","y', "a\r\nb", "🦊"]
    given = [row(number, full_name=name) for number, name in enumerate(names)]
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, given) == "succeeded"
    assert [json.loads(line) for line in result(web, job_id).text.splitlines()] == given
    sheet = csv.DictReader(io.StringIO(result(web, job_id, CSV).text, newline=""))
    assert [each["full_name"] for each in sheet] == ["'=1+1", *names[1:]]


# -- cursors


def test_rows_start_at_the_cursor(web: WebHarness, export_id: str) -> None:
    limits: list[dict[str, Any]] = [{}, {"limit": 1}, {"limit": 250}]
    for cursor, limit in itertools.product([0, 1, 199, 200, 201, 2_399, 2_400], limits):
        response = result(web, export_id, cursor=cursor, **limit)
        end = min(2_400, cursor + limit.get("limit", 2_400))
        assert lines(response) == rows(cursor, end)
        assert head(response) == (str(end), "false", "queued")


@pytest.mark.parametrize("accept", [NDJSON, CSV, JSON])
def test_a_cursor_beyond_the_end_returns_no_rows_and_stays(
    web: WebHarness, ledger: LedgerHarness, export_id: str, accept: str
) -> None:
    early = result(web, export_id, accept, cursor=9_999)
    assert head(early) == ("9999", "false", "queued")
    claim_and_append(ledger, export_id, rows(2_400, 2_450))
    late = result(web, export_id, accept, cursor=9_999)
    assert head(late) == ("9999", "true", "succeeded")
    nothing = {NDJSON: "", CSV: "", JSON: '{"items":[],"next":null}'}
    assert late.text == nothing[accept]


BAD_QUERIES: dict[str, dict[str, Any]] = {
    "cursor text": {"cursor": "abc"},
    "cursor negative": {"cursor": -1},
    "cursor huge": {"cursor": "9" * 16},
    "limit zero": {"limit": 0},
    "limit negative": {"limit": -5},
    "limit text": {"limit": "all"},
    "follow text": {"follow": "perhaps"},
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_an_invalid_query_parameter_is_rejected_by_name(
    web: WebHarness, export_id: str, name: str
) -> None:
    response = result(web, export_id, **BAD_QUERIES[name])
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["field"] == name.split(maxsplit=1)[0]


def test_a_huge_limit_returns_all_rows(web: WebHarness, export_id: str) -> None:
    assert lines(result(web, export_id, limit=10**18)) == rows(0, 2_400)


# -- ends


def test_an_export_that_has_found_nothing_yet_has_no_rows(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    response = result(web, started_export(ledger))
    assert (lines(response), head(response)) == ([], ("0", "false", "queued"))


def test_an_export_without_followers_is_complete(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id) == "succeeded"
    response = result(web, job_id)
    assert (lines(response), head(response)) == ([], ("0", "true", "succeeded"))


def test_an_ended_export_is_complete_at_its_last_row_only(
    web: WebHarness, ledger: LedgerHarness, export_id: str
) -> None:
    claim_and_append(ledger, export_id, rows(2_400, 2_450))
    assert head(result(web, export_id)) == ("2450", "true", "succeeded")
    assert head(result(web, export_id, limit=2_449)) == ("2449", "false", "succeeded")
    assert head(result(web, export_id, JSON, cursor=1_450)) == ("2450", "true", "succeeded")
    assert result(web, export_id, JSON, cursor=1_450).json()["next"] is None


def test_the_rows_of_a_failed_or_canceled_export_are_available(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    failed, canceled = (
        started_export(ledger, 2, account="a"),
        started_export(ledger, 2, account="b"),
    )
    ledger.finish(ledger.claim(failed), Status.FAILED)
    web.api.post(f"/jobs/{canceled}/cancel").raise_for_status()
    for job_id, status in ((failed, "failed"), (canceled, "canceled")):
        response = result(web, job_id)
        assert (lines(response), head(response)) == (rows(0, 400), ("400", "true", status))


def list_headers(response: httpx.Response) -> tuple[str | None, str | None]:
    """What the headers say about the list: whether it is whole, and why not."""
    names = ("List-Complete", "Incomplete-Reason")
    complete, reason = (response.headers.get(f"Heliograph-{name}") for name in names)
    return complete, reason


@pytest.mark.parametrize("accept", [NDJSON, CSV, JSON])
def test_the_headers_say_whether_an_ended_export_has_the_whole_list(
    web: WebHarness, ledger: LedgerHarness, accept: str
) -> None:
    whole, part = (started_export(ledger, 1, account=name) for name in ("a", "b"))
    assert list_headers(result(web, part, accept)) == (None, None)
    claim_and_append(ledger, whole, rows(200, 1_000))
    claim_and_append(ledger, part, rows(200, 250), limited=True)
    assert list_headers(result(web, whole, accept)) == ("true", None)
    # Also on the first of several pages, and where the rows are followed
    for query in ({}, {"limit": 1}):
        assert list_headers(result(web, part, accept, **query)) == ("false", "limited_by_instagram")
    followed = result(web, part, NDJSON, follow="true")
    assert list_headers(followed) == ("false", "limited_by_instagram")


def test_an_export_that_did_not_succeed_has_a_part_of_the_list(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    failed = started_export(ledger, 1)
    ledger.finish(ledger.claim(failed), Status.FAILED)
    assert list_headers(result(web, failed)) == ("false", None)


def test_an_export_that_an_older_release_ended_says_nothing_about_the_list(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = started_export(ledger, 1)
    claim_and_append(ledger, job_id, rows(200, 210))
    old = json.dumps({"users": 210, "pages": 2}, separators=(",", ":"))
    pieces: Any = ledger.store.hkeys(f"hg:job:{job_id}")
    ledger.store.hdel(f"hg:job:{job_id}", *(name for name in pieces if name[:7] == b"result:"))
    ledger.store.hset(f"hg:job:{job_id}", "result", old)
    assert list_headers(result(web, job_id)) == (None, None)


def test_rows_that_are_no_longer_kept_are_gone(
    web: WebHarness, ledger: LedgerHarness, export_id: str
) -> None:
    ledger.finish(ledger.claim(export_id), Status.FAILED)
    ledger.pass_time(TIMES.keep_bodies + SECOND)
    queries: list[dict[str, Any]] = [{}, {"cursor": 9_999}, {"follow": "true"}]
    for query in queries:
        response = result(web, export_id, **query)
        assert (response.status_code, response.json()["error"]["code"]) == (410, "result_gone")
    retried = web.api.post(f"/jobs/{export_id}/retry")
    assert (retried.status_code, retried.json()["error"]["code"]) == (409, "result_gone")


def test_rows_that_expire_during_the_response_abort_it(
    web: WebHarness, ledger: LedgerHarness, export_id: str
) -> None:
    ledger.store.zremrangebyrank(f"hg:rows:{export_id}", 8, 8)
    with pytest.raises(httpx.RemoteProtocolError):
        result(web, export_id)
    response = result(web, export_id, JSON, cursor=1_500)
    assert (response.status_code, response.json()["error"]["code"]) == (410, "result_gone")


def test_other_jobs_return_their_result(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    assert result(web, job_id).json()["error"]["code"] == "no_result"
    ledger.finish(ledger.claim_and_send(job_id))
    assert result(web, job_id, "text/html").json() == {"result": RESULT}
    assert result(web, "job_unknown").status_code == 404
