"""Recognising a write of ours among others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.instagram.reconcile import (
    MAX_PAGES,
    SearchIncomplete,
    SoughtComment,
    SoughtDm,
    find_comment,
    find_dm,
    match_comment,
    match_dm,
)
from actors.instagram.tokens import client_context_for

SINCE = 1_700_000_000_000
OURS = client_context_for("job_x:1")
DM = SoughtDm(OURS, own_pk="7", text="Thank you!", since_ms=SINCE)
COMMENT = SoughtComment(own_pk="7", text="Lovely!", since_ms=SINCE)


def dm(**changes: Any) -> dict[str, Any]:
    row = {
        "item_id": "1",
        "user_id": 7,
        "timestamp": (SINCE + 1_000) * 1_000,
        "text": "Thank you!",
        "client_context": OURS,
    }
    return row | changes


def comment(**changes: Any) -> dict[str, Any]:
    row = {
        "pk": "1",
        "user": {"pk": 7},
        "text": "Lovely!",
        "created_at_utc": SINCE // 1_000,
    }
    return row | changes


def test_a_dm_is_recognised_by_its_token_whatever_else_it_shows() -> None:
    strange = dm(user_id=None, text=None, timestamp=0)
    assert match_dm([dm(client_context="other"), strange], DM) is strange


@pytest.mark.parametrize("context", ["", None, "30284719"])
def test_without_our_token_own_user_text_and_time_will_do(context: str | None) -> None:
    assert match_dm([dm(client_context=context)], DM)
    assert match_dm([dm(client_context=context, user_id=8)], DM) is None
    assert match_dm([dm(client_context=context, text="Thanks")], DM) is None
    assert match_dm([dm(client_context=context, timestamp=(SINCE - 60_000) * 1_000)], DM) is None
    assert match_dm([dm(client_context=context, user_id=None, is_sent_by_viewer=True)], DM)


def test_the_same_text_of_another_job_is_not_ours() -> None:
    assert match_dm([dm(client_context=client_context_for("job_y:1"))], DM) is None


def test_items_of_unknown_kinds_do_no_harm() -> None:
    odd: list[dict[str, Any]] = [{"item_type": "xma_new", "item_id": "9"}, {"link": None}, dm()]
    assert match_dm(odd, DM) == dm()


def test_a_comment_is_recognised_by_own_user_text_and_time() -> None:
    assert match_comment([comment(text="No"), comment()], COMMENT)
    assert match_comment([comment(user={"pk": "8"})], COMMENT) is None
    assert match_comment([comment(created_at_utc=SINCE // 1_000 - 60)], COMMENT) is None


class Pages:
    """An API that answers with the pages it was given, over and over the last one."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[str, Any]] = []

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        self.asked.append((endpoint, kwargs["params"]))
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def test_no_thread_means_no_dm() -> None:
    api = Pages({"status": "ok", "users": []})
    assert asyncio.run(find_dm(api, "5", DM)) is None
    assert api.asked[0][1]["recipient_users"] == "[5]"


def test_a_thread_without_end_is_not_taken_for_not_found() -> None:
    thread = {"thread_id": "9", "items": [dm(client_context="x", text="other")]}
    api = Pages({"thread": thread | {"oldest_cursor": "more"}})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_dm(api, "5", DM))
    assert len(api.asked) == 1 + MAX_PAGES
    assert api.asked[-1][1]["cursor"] == "more"


def test_a_thread_is_read_no_further_than_the_intent() -> None:
    old = dm(client_context="x", text="other", timestamp=(SINCE - 60_000) * 1_000)
    thread = {"thread_id": "9", "items": [old], "oldest_cursor": "more"}
    api = Pages({"thread": thread})
    assert asyncio.run(find_dm(api, "5", DM)) is None
    assert len(api.asked) == 2


def test_comments_in_order_are_read_no_further_than_the_intent() -> None:
    rows = [comment(text="other"), comment(created_at_utc=SINCE // 1_000 - 60)]
    api = Pages({"comments": rows, "next_min_id": "more"})
    assert asyncio.run(find_comment(api, "1", COMMENT)) is None
    assert len(api.asked) == 1


def test_comments_by_popularity_are_not_taken_for_all() -> None:
    rows = [comment(created_at_utc=SINCE // 1_000 - 60), comment(text="other")]
    api = Pages({"comments": rows, "next_min_id": "more"})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_comment(api, "1", COMMENT))
    assert api.asked[-1][1]["min_id"] == "more"
    last = Pages({"comments": rows})
    assert asyncio.run(find_comment(last, "1", COMMENT)) is None
