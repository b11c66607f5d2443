"""Texts that are too long, or that Instagram may refuse: said before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import WebHarness

DM = {"kind": "dm", "account": "shop", "to": "some.handle"}
COMMENT = {"kind": "comment", "account": "shop", "post": "CxyZ_-1"}
PARTY = "\U0001f389"


@pytest.mark.parametrize("path", ["/jobs", "/jobs:preview"])
@pytest.mark.parametrize(
    ("job", "noun", "count", "most"),
    [(DM, "DM", 1001, 1000), (DM, "DM", 9999, 1000), (COMMENT, "comment", 2201, 2200)],
)
def test_a_text_that_is_too_long_is_refused_with_count_limit_and_remedy(
    web: WebHarness, path: str, job: dict[str, Any], noun: str, count: int, most: int
) -> None:
    response = web.api.post(path, json={**job, "text": "\u00e9" * count})
    assert response.status_code == 422
    (field,) = response.json()["error"]["fields"]
    assert field == {
        "field": "text",
        "message": f"has {count} characters, and a {noun} takes at most {most}:"
        " shorten it, or send a second job",
    }
    assert web.contents() == {}


def test_characters_are_counted_however_many_bytes_they_have(web: WebHarness) -> None:
    assert web.api.post("/jobs", json={**DM, "text": PARTY * 1000}).status_code == 202
    assert web.api.post("/jobs", json={**COMMENT, "text": PARTY * 2200}).status_code == 202


def test_a_preview_warns_of_what_instagram_may_refuse(web: WebHarness) -> None:
    def warnings(job: dict[str, Any], text: str) -> list[str]:
        shown = web.api.post("/jobs:preview", json={**job, "text": text}).raise_for_status()
        found: list[str] = shown.json()["warnings"]
        return found

    assert warnings(DM, "Thank you!") == []
    assert warnings(DM, "\u0436" * 600) == [
        "text: has 1200 bytes in UTF-8; Instagram may refuse a DM with more than 1000"
    ]
    assert warnings(COMMENT, "https://a.example https://b.example") == [
        "text: has 2 links; Instagram may refuse a comment with more than 1"
    ]


def test_the_schema_names_the_longest_text(web: WebHarness) -> None:
    schema = web.api.get("/openapi.json").json()["components"]["schemas"]["JobRequest"]
    (text,) = (kind for kind in schema["properties"]["text"]["anyOf"] if kind["type"] == "string")
    assert (text["minLength"], text["maxLength"]) == (1, 2200)
