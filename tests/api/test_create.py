"""Creating jobs: what is accepted, and every rejection with its field and remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
COMMENT = {"kind": "comment", "account": "shop", "post": "CxyZabcDEfg", "text": "Hello"}
SECRET = "a-secret-sent-by-mistake"


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


def test_a_dm_is_created_and_found(web: WebHarness) -> None:
    # When
    made = web.api.post(
        "/jobs", json={**DM, "priority": 9, "callback": "crm", "metadata": {"order": 7, "é": None}}
    )

    # Then
    assert made.status_code == 202
    job = made.json()
    assert made.headers["Location"] == f"/jobs/{job['id']}"
    found = web.api.get(made.headers["Location"]).json()
    assert found == {**found, **job}
    expected = {"kind": "dm", "account": "shop", "status": "queued", "attempts": 0, "run": 1}
    assert {name: job[name] for name in expected} == expected
    assert (job["priority"], job["metadata"]) == (9, {"order": 7, "é": None})
    nothing_yet = ("started_at", "finished_at", "wait", "result", "error")
    assert {job[name] for name in nothing_yet} == {None}
    assert job["source"]["event_id"] is None


def test_a_comment_accepts_a_link_to_a_post(web: WebHarness) -> None:
    link = "https://www.instagram.com/p/CxyZabcDEfg/"
    made = web.api.post("/jobs", json={**COMMENT, "post": link})
    assert (made.status_code, made.json()["kind"]) == (202, "comment")
    assert web.store.hget(f"hg:job:{made.json()['id']}", "post") == b"CxyZabcDEfg"


def test_a_vendor_json_content_type_is_accepted(web: WebHarness) -> None:
    headers = {"Content-Type": "application/vnd.shop+json; charset=utf-8"}
    assert web.api.post("/jobs", content=json.dumps(DM), headers=headers).status_code == 202


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no kind": ({"kind": None}, "kind"),
    "unknown kind": ({"kind": SECRET}, "kind"),
    "lookup": ({"kind": "lookup"}, "kind"),
    "no account": ({"account": None}, "account"),
    "empty account": ({"account": ""}, "account"),
    "unknown account": ({"account": SECRET}, "account"),
    "long account": ({"account": "x" * 65}, "account"),
    "account a number": ({"account": 7}, "account"),
    "half a character in account": ({"account": "\ud800"}, "account"),
    "read account": ({"account": "reader"}, "account"),
    "no to": ({"to": None}, "to"),
    "empty to": ({"to": ""}, "to"),
    "to no handle": ({"to": "not a handle at all"}, "to"),
    "to a number": ({"to": 314159}, "to"),
    "to an address": ({"to": f"{SECRET}@example.com"}, "to"),
    "to no answer": ({"to": "n/a"}, "to"),
    "to a short word": ({"to": "na"}, "to"),
    "to a phone number": ({"to": "612.345.678"}, "to"),
    "to a domain": ({"to": "shop.com"}, "to"),
    "long to": ({"to": "x" * 301}, "to"),
    "half a character in to": ({"to": "\udc00"}, "to"),
    "post for a dm": ({"post": "CxyZabcDEfg"}, "post"),
    "no text": ({"text": None}, "text"),
    "empty text": ({"text": ""}, "text"),
    "spaces": ({"text": " \n\t "}, "text"),
    "long text": ({"text": "x" * 1001}, "text"),
    "very long text": ({"text": "x" * 2201}, "text"),
    "text a list": ({"text": ["x"]}, "text"),
    "half a character in text": ({"text": "x\ud83d"}, "text"),
    "priority low": ({"priority": -1}, "priority"),
    "priority high": ({"priority": 10}, "priority"),
    "priority text": ({"priority": "5"}, "priority"),
    "priority true": ({"priority": True}, "priority"),
    "priority a fraction": ({"priority": 4.5}, "priority"),
    "priority null": ({"priority": None}, "priority"),
    "unknown callback": ({"callback": SECRET}, "callback"),
    "empty callback": ({"callback": ""}, "callback"),
    "metadata a list": ({"metadata": [1]}, "metadata"),
    "metadata text": ({"metadata": SECRET}, "metadata"),
    "metadata NaN": ({"metadata": {"a": float("nan")}}, "metadata"),
    "metadata infinite": ({"metadata": {"a": [float("-inf")]}}, "metadata"),
    "half a character in metadata": ({"metadata": {"a": "\ud800"}}, "metadata"),
    "half a character in a key": ({"metadata": {"\ud800": 1}}, "metadata"),
    "large metadata": ({"metadata": {"a": "x" * 8192}}, "metadata"),
    "deep metadata": ({"metadata": nested(33)}, "metadata"),
    "very deep metadata": ({"metadata": nested(300)}, "metadata"),
    "unknown key": ({"recipient": SECRET}, "recipient"),
    "misspelt key": ({"delay_second": 5}, "delay_second"),
}


@pytest.mark.parametrize(("changes", "field"), INVALID.values(), ids=INVALID.keys())
def test_an_invalid_value_is_rejected_with_the_name_of_its_field(
    web: WebHarness, changes: dict[str, Any], field: str
) -> None:
    # When
    body = json.dumps({**DM, **changes})
    response = web.api.post("/jobs", content=body, headers={"Content-Type": "application/json"})

    # Then
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["code"] == "invalid_request"
    assert [problem["field"] for problem in error["fields"]] == [field]
    assert error["message"].startswith(f"{field}: ")
    assert len(error["message"]) > len(field) + 5
    assert SECRET not in response.text
    assert web.contents() == {}


@pytest.mark.parametrize("name", ["kind", "account", "text"])
def test_a_missing_field_is_named(web: WebHarness, name: str) -> None:
    response = web.api.post("/jobs", json={key: DM[key] for key in DM if key != name})
    assert response.status_code == 422
    assert response.json()["error"]["message"] == f"{name}: is missing"


def test_a_comment_requires_a_post_and_no_recipient(web: WebHarness) -> None:
    for changes, field in (({"post": None}, "post"), ({"to": "some.handle"}, "to")):
        response = web.api.post("/jobs", json={**COMMENT, **changes})
        assert response.status_code == 422
        assert [item["field"] for item in response.json()["error"]["fields"]] == [field]
    assert web.contents() == {}


def test_a_comment_may_be_longer_than_a_dm(web: WebHarness) -> None:
    assert web.api.post("/jobs", json={**COMMENT, "text": "x" * 2200}).status_code == 202
    assert web.api.post("/jobs", json={**COMMENT, "text": "x" * 2201}).status_code == 422


def test_all_invalid_fields_are_named_at_once(web: WebHarness) -> None:
    response = web.api.post("/jobs", json={"kind": "dm", "priority": 99, "text": ""})
    fields = {item["field"] for item in response.json()["error"]["fields"]}
    assert fields == {"account", "priority", "text"}


@pytest.mark.parametrize("name", ["\ud800", "sk_live_" + "x" * 60, "a b", "пароль", ""])
def test_an_unusual_field_name_is_not_repeated(web: WebHarness, name: str) -> None:
    body = json.dumps({**DM, name: 1})
    response = web.api.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    (problem,) = response.json()["error"]["fields"]
    assert problem["field"] in ("(name not shown)", "body")
    assert len(name) < 2 or name not in response.text


BROKEN = {
    "cut": b'{"kind": "dm"',
    "not utf-8": b'{"kind": "\xff"}',
    "text": b"kind=dm",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 20_000,
    "endless integer": b'{"priority": ' + b"9" * 10_000 + b"}",
    "control": b'{"kind": "d\x00m"}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_invalid_json_is_a_bad_request(web: WebHarness, body: bytes) -> None:
    response = web.api.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"
    assert web.contents() == {}


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"dm"', b""])
def test_json_that_is_not_an_object_is_rejected(web: WebHarness, body: bytes) -> None:
    response = web.api.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["field"] == "body"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_rejected_with_the_right_one(web: WebHarness, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = web.api.post("/jobs", content=json.dumps(DM), headers=headers)
    assert response.status_code == 422
    assert "Content-Type: application/json" in response.json()["error"]["message"]


def test_a_large_body_is_rejected(web: WebHarness) -> None:
    response = web.api.post("/jobs", json={**DM, "text": "x" * (300 * 1024)})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert web.contents() == {}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        nested(31),
        {"n": 10**3000},
        {"n": 1e308, "m": -0.0},
        {"x": "\x00\u2028😀"},
        {"a": [[], {}, None, True]},
        {"x": "y" * 8000},
    ],
    ids=["empty", "deep", "huge integer", "floats", "odd characters", "kinds", "large"],
)
def test_metadata_is_returned_unchanged(web: WebHarness, metadata: dict[str, Any]) -> None:
    made = web.api.post("/jobs", json={**DM, "metadata": metadata})
    assert made.status_code == 202
    # Not `.json()`: importing aiograpi in this process replaces it with one without big integers.
    assert json.loads(made.content)["metadata"] == metadata
    listed = web.api.get("/jobs")
    assert json.loads(listed.content)["items"][0]["metadata"] == metadata
