"""Reading comments and messages whose fields differ from reply to reply."""

from __future__ import annotations

from typing import Any

import pytest

from actors.instagram.stored_rows import (
    author_pk,
    card_texts,
    comment_id,
    comment_ms,
    comments_in,
    message_id,
    message_ms,
    message_text,
    message_urls,
    rows_of,
)

SECONDS = 1_700_000_000
MS = SECONDS * 1_000


def comment(pk: str, **more: Any) -> dict[str, Any]:
    return {"pk": pk, "user_id": 7, "text": "Lovely!", **more}


def test_comments_are_found_wherever_a_reply_lists_them() -> None:
    page = {
        "comments": [comment("1", preview_child_comments=[comment("2")]), comment("3"), None, "x"],
        "preview_comments": [comment("4")],
        "hidden_comments": [comment("5")],
        "stream_rows": [{"comments": [comment("6")]}],
        "fb_comments": [],
        "caption": comment("caption"),
        "quick_response_emojis": [{"unicode": "\u2764"}],
        "liked_by": [{"pk": "8", "username": "jenny.rosen"}],
        "next_min_id": "more",
    }
    assert {comment_id(row) for row in comments_in(page)} == set("123456")


@pytest.mark.parametrize("listed", [None, "rows", 5, {"pk": "1"}, [None, 5, "x"]])
def test_what_is_no_list_of_rows_has_no_rows(listed: object) -> None:
    assert rows_of(listed) == []
    assert comments_in({"comments": listed}) == []


@pytest.mark.parametrize(
    "row",
    [
        {"user": {"pk": 7}},
        {"user": {"pk": "7"}},
        {"user": {"pk": None, "pk_id": "7"}},
        {"user": {"id": "7"}, "user_id": None},
        {"user": {"strong_id__": "7"}},
        {"user": None, "user_id": 7},
        {"user_id": "7"},
        {"sender_id": "7"},
    ],
)
def test_an_author_is_known_by_any_of_its_ids(row: dict[str, Any]) -> None:
    assert author_pk(row) == "7"


def test_a_row_without_an_author_or_id_has_none() -> None:
    assert author_pk({"user": "seven"}) == author_pk({}) == ""
    assert comment_id({"pk": None}) == message_id({}) == ""
    assert comment_id({"id": 5}) == "5"


@pytest.mark.parametrize(
    "time",
    [SECONDS, float(SECONDS), str(SECONDS), f"{SECONDS}.0", MS, MS * 1_000, str(MS * 1_000_000)],
)
def test_a_time_is_read_in_any_unit(time: object) -> None:
    assert comment_ms({"created_at": time}) == message_ms({"timestamp": time}) == MS


@pytest.mark.parametrize("time", [None, "", "yesterday", [], {}, float("nan"), float("inf"), 1e30])
def test_an_unusable_time_is_none(time: object) -> None:
    assert comment_ms({"created_at_utc": time}) == message_ms({"timestamp": time}) == 0
    assert comment_ms({"created_at_utc": time, "created_at": SECONDS}) == MS


def test_a_message_shows_its_text_or_its_link() -> None:
    link = {"text": "See https://example.com", "link_context": {"link_url": "https://example.com"}}
    assert message_text({"text": "Hello", "link": None}) == "Hello"
    assert message_text({"text": None, "link": link}) == "See https://example.com"
    assert message_urls({"link": link}) == ["https://example.com"]
    assert message_text({"link": {"text": None}}) == message_text({"text": 5, "link": "x"}) == ""
    assert message_urls({"link": {"link_context": None}}) == []


@pytest.mark.parametrize("key", ["xma_link", "generic_xma"])
def test_a_message_shows_the_texts_and_links_of_its_cards(key: str) -> None:
    card = {"title_text": "Receipt", "target_url": "https://example.com/7", "preview_url": None}
    for listed in ([card], card, [None, card]):
        assert card_texts({key: listed}) == ["Receipt"]
        assert message_urls({key: listed}) == ["https://example.com/7"]
    assert card_texts({key: None}) == message_urls({key: [{}]}) == []
