"""Which comments and messages are the write, or may be."""

from __future__ import annotations

import time
from typing import Any

import pytest

from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.write_matching import (
    alike_comments,
    alike_dms,
    matching_comments,
    matching_dms,
)
from actors.instagram.write_query import WriteQuery

SECONDS = 1_700_000_000
SINCE = SECONDS * 1_000
LINK = "https://shop.example.com/receipts/7"


def query(text: str | None) -> WriteQuery:
    return WriteQuery("7", text, time.monotonic(), client_context_for("job_x:1"))


def comment(text: object, **changes: Any) -> dict[str, Any]:
    row = {"pk": "1", "user": {"pk": 7}, "text": text, "created_at_utc": SECONDS}
    return row | changes


def dm(**changes: Any) -> dict[str, Any]:
    row = {"item_id": "1", "user_id": 7, "timestamp": SINCE * 1_000, "item_type": "text"}
    return row | changes


def comment_verdict(row: dict[str, Any], text: str) -> str:
    if matching_comments([row], query(text), SINCE):
        return "same"
    return "alike" if alike_comments([row], query(text), SINCE) else "other"


def dm_verdict(row: dict[str, Any], text: str | None) -> str:
    if matching_dms([row], query(text), SINCE):
        return "same"
    return "alike" if alike_dms([row], query(text), SINCE) else "other"


def test_a_comment_in_other_white_space_is_the_same() -> None:
    assert comment_verdict(comment("Lovely! See you"), "Lovely!\n\nSee you") == "same"


@pytest.mark.parametrize(
    "state",
    [
        {"status": "Pending"},
        {"is_covered": True, "has_translation": True},
        {"parent_comment_id": "5", "type": 2},
        {"user": {"pk": "7"}},
        {"user": None, "user_id": "7"},
    ],
    ids=str,
)
def test_a_hidden_or_pending_comment_is_the_same(state: dict[str, Any]) -> None:
    assert comment_verdict(comment("Lovely!", **state), "Lovely!") == "same"


def test_an_own_comment_that_may_have_been_changed_is_alike() -> None:
    assert comment_verdict(comment("lovely see you"), "Lovely! See you") == "alike"


@pytest.mark.parametrize(
    "row",
    [
        comment("lovely", user={"pk": 8}),
        comment("lovely", created_at_utc=SECONDS - 60),
        comment("Lovely too!"),
        comment("Lovely too!", user=None),
        comment(None, user=None),
        comment(None, created_at_utc=SECONDS - 60),
    ],
    ids=str,
)
def test_another_authors_older_or_other_comment_is_neither(row: dict[str, Any]) -> None:
    assert comment_verdict(row, "Lovely!") == "other"


@pytest.mark.parametrize(
    "row",
    [
        comment(None),
        comment(5),
        comment("Lovely!", user=None),
        {"pk": "1", "user_id": 7, "created_at": SECONDS},
    ],
    ids=str,
)
def test_a_comment_that_does_not_show_its_text_or_author_is_alike(row: dict[str, Any]) -> None:
    assert comment_verdict(row, "Lovely!") == "alike"


def test_a_dm_that_does_not_show_its_text_or_author_is_alike() -> None:
    assert dm_verdict(dm(item_type="text", text=None), "Hello") == "alike"
    assert dm_verdict(dm(text="Hello", user_id=None), "Hello") == "alike"
    assert dm_verdict(dm(text="Another", user_id=None), "Hello") == "other"


def test_a_write_without_a_time_is_only_alike() -> None:
    assert comment_verdict(comment("Lovely!", created_at_utc=None), "Lovely!") == "alike"
    assert dm_verdict(dm(text="Hello", timestamp=None), "Hello") == "alike"


@pytest.mark.parametrize(
    "row",
    [
        dm(text="Hello,\u00a0see you"),
        dm(text=None, item_type="link", link={"text": "Hello, see you"}),
        dm(text=None, item_type="xma_link", xma_link=[{"title_text": "Hello, see you"}]),
        dm(text="Hello, see you", client_context="30284719"),
        dm(text="Hello, see you", user_id=None, is_sent_by_viewer=True),
    ],
    ids=str,
)
def test_a_dm_without_its_token_is_the_same(row: dict[str, Any]) -> None:
    assert dm_verdict(row, "Hello,\nsee you") == "same"


def test_a_dm_that_is_a_link_is_the_same_as_its_card() -> None:
    for row in (
        dm(item_type="link", text="", link={"text": "", "link_context": {"link_url": LINK}}),
        dm(item_type="generic_xma", generic_xma=[{"target_url": LINK, "title_text": "Receipt"}]),
    ):
        assert dm_verdict(row, LINK) == "same"


@pytest.mark.parametrize(
    "row",
    [
        dm(text="hello your receipt " + LINK),
        dm(item_type="link", link={"text": None, "link_context": {"link_url": LINK}}),
        dm(item_type="xma_link", text=None, xma_link=[{"target_url": LINK}]),
        dm(item_type="placeholder", placeholder={"message": "Use the app to see this"}),
    ],
    ids=str,
)
def test_a_dm_that_may_have_been_changed_is_alike(row: dict[str, Any]) -> None:
    assert dm_verdict(row, f"Hello! Your receipt: {LINK}") == "alike"


@pytest.mark.parametrize(
    "row",
    [
        dm(text="hello", client_context=client_context_for("job_y:1")),
        dm(text="hello", user_id=8),
        dm(text="hello", timestamp=(SINCE - 60_000) * 1_000),
        dm(text=f"Another text with the link {LINK}"),
        dm(item_type="link", link={"text": "Another", "link_context": {"link_url": LINK}}),
        dm(item_type="xma_link", xma_link=[{"target_url": LINK + "7"}]),
        dm(item_type="like", like="\u2764"),
        dm(item_type="placeholder", client_context="30284719"),
    ],
    ids=str,
)
def test_another_dm_is_neither(row: dict[str, Any]) -> None:
    assert dm_verdict(row, f"Hello {LINK}") == "other"


def test_a_photo_that_is_not_shown_is_alike() -> None:
    assert dm_verdict(dm(item_type="media"), None) == "same"
    assert dm_verdict(dm(item_type="placeholder"), None) == "alike"
    assert dm_verdict(dm(item_type="media", timestamp=0), None) == "alike"
    assert dm_verdict(dm(text="Hello"), None) == "other"
