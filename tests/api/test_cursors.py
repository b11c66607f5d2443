"""Cursors and limits of every list: what no page has given out is refused, and named."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from tests.support.web import WebHarness

LISTS = ("/jobs", "/events", "/deliveries", "/suppressions", "/audit")
NUMBER, ENTRY, NAME = "4711", "1795170408509-0", "shop:some.handle"
#: The cursors that each list could have given out.
OWN = {
    "/jobs": [NUMBER, "0", "9" * 15],
    "/events": [NUMBER, "0", "9" * 15],
    "/deliveries": [NUMBER, "0", "9" * 15],
    "/suppressions": [NAME, "*:a", "*:pk:1", "*:9", "a.b-c_D:_._", f"*:pk:{'9' * 20}"],
    "/audit": [ENTRY, "1-0", f"{'9' * 16}-{'9' * 15}"],
}
MALFORMED = (
    *("", " ", "0-0", "0-1", "-1", "+1", "1.5", "1e3", "0x1f", "abc", "(1", "[1", "-", "+", "$"),
    *("9" * 16 + "0", f"{'9' * 17}-0", f"1-{'9' * 17}", "1" * 5_000, "1-0-0", "1-", "-0"),
    *("\uff11\uff12", "\u0663", "1\u0660", "\u0661-\u0660", "\u00b2", "1\n", "\n1", "1\x00"),
    *("*", "*:", ":a", "*:A", "*:a b", "*:pk:", "shop:a:b", "*:\u00e9", "*:a\x00", "\udcff"),
    *("null", "None", "true", "[]", "{}", "%00", "../1", "job_1", "evt_1"),
)
CASES = [
    (path, cursor)
    for path, cursor in itertools.product(LISTS, dict.fromkeys((*MALFORMED, NUMBER, ENTRY, NAME)))
    if cursor not in OWN[path]
]


def _query(name: str, value: str) -> bytes:
    encoded = "".join(f"%{byte:02X}" for byte in value.encode("utf-8", "surrogateescape"))
    return f"{name}={encoded}".encode()


def _get(web: WebHarness, path: str, name: str, value: str) -> httpx.Response:
    return web.api.get(web.api.base_url.join(path).copy_with(query=_query(name, value)))


def _problem(response: httpx.Response) -> tuple[int, str, str]:
    (problem,) = response.json()["error"]["fields"]
    return response.status_code, problem["field"], problem["message"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_the_cursors_that_it_gives_out(web: WebHarness, path: str) -> None:
    for cursor in OWN[path]:
        response = _get(web, path, "cursor", cursor)
        assert (response.status_code, response.json()) == (200, {"items": [], "next": None})


def test_any_other_cursor_is_refused_with_the_remedy(web: WebHarness) -> None:
    for path, cursor in CASES:
        status, field, message = _problem(_get(web, path, "cursor", cursor))
        assert (path, cursor, status, field) == (path, cursor, 422, "cursor")
        assert "send `next` of its previous page" in message


@pytest.mark.parametrize("account", ["shop", "nobody"])
def test_the_audit_log_of_one_account_refuses_them_too(web: WebHarness, account: str) -> None:
    for cursor in ("0-0", "", NUMBER, NAME, f"{'9' * 17}-0"):
        params = {"account": account, "cursor": cursor}
        status, field, _ = _problem(web.api.get("/audit", params=params))
        assert (cursor, status, field) == (cursor, 422, "cursor")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "limit", ["0", "-1", "201", "9" * 30, "1" * 5_000, "1.5", "many", "", "\u0663", "1e2", "NaN"]
)
def test_a_limit_out_of_bounds_is_refused(web: WebHarness, path: str, limit: str) -> None:
    status, field, _ = _problem(_get(web, path, "limit", limit))
    assert (status, field) == (422, "limit")


NOT_A_NUMBER: tuple[str, ...] = ("-1", "abc", "1-0", "9" * 10, "\u0663", "1\x00", "1 2", "0-0")
NOT_A_POSITION = ("1", "-", "1-", "-1", "abc", f"{'9' * 16}-0", f"1-{'9' * 16}", "\u0661-\u0660")


@pytest.mark.parametrize(
    ("path", "values"), [("/jobs/job_1/live", NOT_A_NUMBER), ("/live", NOT_A_POSITION)]
)
def test_a_live_stream_refuses_what_is_no_event_of_it(
    web: WebHarness, path: str, values: tuple[str, ...]
) -> None:
    for value in values:
        status, field, message = _problem(_get(web, path, "after", value))
        assert (value, status, field) == (value, 422, "after")
        assert "send the last `id` received" in message
        if "\x00" in value:
            continue  # no header has one
        headers: Any = {"Last-Event-ID": value.encode()}
        status, field, _ = _problem(web.api.get(path, headers=headers))
        assert (value, status, field) == (value, 422, "Last-Event-ID")


def test_rows_refuse_what_is_no_number_of_rows(web: WebHarness) -> None:
    for cursor in ("", "-1", "0-0", "9" * 16, "\u0663", "1.0"):
        status, field, message = _problem(_get(web, "/jobs/job_1/result", "cursor", cursor))
        assert (cursor, status, field) == (cursor, 422, "cursor")
        assert "`next`" in message
