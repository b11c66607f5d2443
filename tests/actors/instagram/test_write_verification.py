"""Verification: finding one's own write among others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence, Set
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.write_matching import matching_comments, matching_dms, with_token
from actors.instagram.write_query import WriteQuery
from actors.instagram.write_verification import (
    FoundDm,
    SearchIncomplete,
    SimilarWriteFound,
    find_comment,
    find_dm,
)

SINCE = 1_700_000_000_000
OURS = client_context_for("job_x:1")
PAGES_READ = 15


def query(text: str, age_seconds: float = 0.0, **more: Any) -> WriteQuery:
    return WriteQuery("7", text, time.monotonic() - age_seconds, **more)


def our_dm() -> WriteQuery:
    """A DM whose intent is recent; built in each test, because its age keeps growing."""
    return query("Thank you!", client_context=OURS)


def our_comment() -> WriteQuery:
    """A comment whose intent is recent."""
    return query("Lovely!")


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


def matches(row: dict[str, Any]) -> bool:
    return matching_dms([row], our_dm(), SINCE) == [row]


def test_a_dm_with_the_token_matches_whatever_its_other_fields() -> None:
    strange = dm(user_id=None, text=None, timestamp=0)
    assert with_token([dm(client_context="other"), strange], our_dm()) is strange


@pytest.mark.parametrize("context", ["", None, "30284719"])
def test_without_the_token_a_dm_matches_by_sender_text_and_time(context: str | None) -> None:
    assert matches(dm(client_context=context))
    assert not matches(dm(client_context=context, user_id=8))
    assert not matches(dm(client_context=context, text="Thanks"))
    assert not matches(dm(client_context=context, timestamp=(SINCE - 60_000) * 1_000))
    assert matches(dm(client_context=context, user_id=None, is_sent_by_viewer=True))


def test_the_same_text_with_another_jobs_token_does_not_match() -> None:
    assert not matches(dm(client_context=client_context_for("job_y:1")))


def test_items_of_unknown_kinds_are_ignored() -> None:
    odd: list[dict[str, Any]] = [{"item_type": "xma_new", "item_id": "9"}, {"link": None}, dm()]
    assert with_token(odd, our_dm()) == dm()
    assert matching_dms(odd, our_dm(), SINCE) == []


def test_a_comment_matches_by_author_text_and_time() -> None:
    rows = [
        comment(text="No"),
        comment(),
        comment(user={"pk": "8"}),
        comment(created_at_utc=SINCE // 1_000 - 60),
    ]
    assert matching_comments(rows, our_comment(), SINCE) == [comment()]


# Reading


def reply(date: str | None) -> httpx.Response:
    return httpx.Response(200, headers={} if date is None else {"Date": date})


class Pages:
    """An API that returns the given pages in order, then the last one over and over."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)
        self.requests: list[tuple[str, Any]] = []
        self.last_response = reply(formatdate(SINCE / 1_000, usegmt=True))

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        self.requests.append((endpoint, kwargs["params"]))
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def owned_by_others(*ids: str) -> Any:
    async def owners(_asked: Sequence[str]) -> Set[str]:
        return frozenset(ids)

    return owners


def test_without_a_thread_there_is_no_dm() -> None:
    api = Pages({"status": "ok", "users": []})
    assert asyncio.run(find_dm(api, "5", our_dm())) is None
    assert api.requests[0][1]["recipient_users"] == "[5]"


def test_a_thread_too_long_to_read_is_not_reported_as_not_found() -> None:
    thread = {"thread_id": "9", "items": [dm(client_context="x", text="other")]}
    api = Pages({"thread": thread | {"oldest_cursor": "more"}})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_dm(api, "5", our_dm()))
    assert len(api.requests) == 1 + PAGES_READ
    assert api.requests[-1][1]["cursor"] == "more"


@pytest.mark.parametrize(("page", "found"), [(PAGES_READ, True), (PAGES_READ + 1, False)])
def test_a_dm_is_found_up_to_the_last_page_read(page: int, found: bool) -> None:
    other = {"thread_id": "9", "items": [dm(client_context="x", text="other")]}
    newer = [{"thread": other | {"oldest_cursor": "more"}}] * page  # the first finds the thread
    api = Pages(*newer, {"thread": {"thread_id": "9", "items": [dm()]}})
    if found:
        assert asyncio.run(find_dm(api, "5", our_dm())) == FoundDm(dm(), "9", by_token=True)
    else:
        with pytest.raises(SearchIncomplete):
            asyncio.run(find_dm(api, "5", our_dm()))


def test_an_item_without_a_timestamp_does_not_end_the_search() -> None:
    odd = {"item_id": "9", "item_type": "xma_new"}
    first = {"thread": {"thread_id": "9", "items": [odd], "oldest_cursor": "more"}}
    api = Pages(first, first, {"thread": {"thread_id": "9", "items": [dm()]}})
    assert asyncio.run(find_dm(api, "5", our_dm())) == FoundDm(dm(), "9", by_token=True)


def test_a_thread_is_read_back_to_the_intent_only() -> None:
    old = dm(client_context="x", text="other", timestamp=(SINCE - 60_000) * 1_000)
    thread = {"thread_id": "9", "items": [old], "oldest_cursor": "more"}
    api = Pages({"thread": thread})
    assert asyncio.run(find_dm(api, "5", our_dm())) is None
    assert len(api.requests) == 2


def test_a_token_on_a_later_page_beats_a_text_on_the_first() -> None:
    first = {"items": [dm(item_id="2", client_context="")], "oldest_cursor": "more"}
    ids = {"thread_id": "9"}
    api = Pages({"thread": ids | first}, {"thread": ids | first}, {"thread": {"items": [dm()]}})
    assert asyncio.run(find_dm(api, "5", our_dm())) == FoundDm(dm(), "9", by_token=True)


def test_a_dm_without_a_token_owned_by_another_job_is_skipped() -> None:
    newer, older = dm(item_id="2", client_context=""), dm(item_id="1", client_context="")
    api = Pages({"thread": {"thread_id": "9", "items": [newer, older]}})
    assert asyncio.run(find_dm(api, "5", our_dm())) == FoundDm(older, "9", by_token=False)
    for owned, expected in ((("1",), FoundDm(newer, "9", by_token=False)), (("1", "2"), None)):
        query = replace(our_dm(), owned_by_others=owned_by_others(*owned))
        assert asyncio.run(find_dm(api, "5", query)) == expected


def test_sorted_comments_are_read_back_to_the_intent_only() -> None:
    rows = [comment(text="other"), comment(created_at_utc=SINCE // 1_000 - 60)]
    api = Pages({"comments": rows, "next_min_id": "more"})
    assert asyncio.run(find_comment(api, "1", our_comment())) is None
    assert len(api.requests) == 1


def test_comments_sorted_by_popularity_are_read_to_the_end() -> None:
    rows = [comment(created_at_utc=SINCE // 1_000 - 60), comment(text="other")]
    api = Pages({"comments": rows, "next_min_id": "more"})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_comment(api, "1", our_comment()))
    assert api.requests[-1][1]["min_id"] == "more"
    last = Pages({"comments": rows})
    assert asyncio.run(find_comment(last, "1", our_comment())) is None


def test_an_old_last_comment_ends_the_search_only_on_a_sorted_page() -> None:
    # Given a first page sorted by popularity, which ends with an old comment
    old = comment(created_at_utc=SINCE // 1_000 - 60, text="other")
    first = {"comments": [old, comment(text="other"), old], "next_min_id": "more"}
    api = Pages(first, {"comments": [comment(pk="2")]})
    # Then our comment is found on the second page
    assert asyncio.run(find_comment(api, "1", our_comment())) == comment(pk="2")


def test_the_oldest_unowned_comment_is_chosen() -> None:
    # Given three matching comments, newest first, on two pages
    rows = [comment(pk=pk, created_at_utc=SINCE // 1_000 + int(pk)) for pk in "321"]
    pages = ({"comments": rows[:2], "next_min_id": "more"}, {"comments": rows[2:]})
    # Then the oldest one that no other job owns is chosen
    for others, expected in (((), "1"), (("1",), "2"), (("1", "2"), "3"), (("1", "2", "3"), None)):
        unowned_query = replace(our_comment(), owned_by_others=owned_by_others(*others))
        found = asyncio.run(find_comment(Pages(*pages), "1", unowned_query))
        assert (found and found["pk"]) == expected


def test_a_comment_is_found_on_a_post_too_long_to_read() -> None:
    api = Pages({"comments": [comment(), comment(pk="2", text="other")], "next_min_id": "more"})
    assert asyncio.run(find_comment(api, "1", our_comment())) == comment()


# Doubt


def test_a_similar_comment_is_doubt_until_it_is_known_to_be_anothers() -> None:
    api = Pages({"comments": [comment(text="lovely")]})
    with pytest.raises(SimilarWriteFound):
        asyncio.run(find_comment(api, "1", our_comment()))
    others = replace(our_comment(), owned_by_others=owned_by_others("1"))
    assert asyncio.run(find_comment(api, "1", others)) is None


def test_a_similar_dm_is_doubt_until_it_is_known_to_be_anothers() -> None:
    api = Pages({"thread": {"thread_id": "9", "items": [dm(client_context="", text="thank you")]}})
    with pytest.raises(SimilarWriteFound):
        asyncio.run(find_dm(api, "5", our_dm()))
    others = replace(our_dm(), owned_by_others=owned_by_others("1"))
    assert asyncio.run(find_dm(api, "5", others)) is None


def test_the_same_text_is_found_beside_a_similar_one() -> None:
    api = Pages({"comments": [comment(pk="2", text="lovely"), comment()]})
    assert asyncio.run(find_comment(api, "1", our_comment())) == comment()


def test_a_hidden_comment_is_found_beside_those_that_are_shown() -> None:
    rows = [comment(pk="2", text="other", preview_child_comments=[])]
    api = Pages({"comments": rows, "hidden_comments": [comment(is_covered=True)]})
    found = asyncio.run(find_comment(api, "1", our_comment()))
    assert found is not None
    assert found["pk"] == "1"


def test_a_ranked_page_is_never_taken_for_the_newest() -> None:
    # Given a page ranked by popularity that happens to be in order of time
    old = comment(created_at_utc=SINCE // 1_000 - 60, text="other")
    ranked = {"comments": [comment(text="other"), old], "is_ranked": True, "next_min_id": "more"}
    # Then our comment is found on the second page
    api = Pages(ranked, {"comments": [comment(pk="2")]})
    assert asyncio.run(find_comment(api, "1", our_comment())) == comment(pk="2")


@pytest.mark.parametrize("more", ["has_more_comments", "has_more_headload_comments"])
def test_comments_that_cannot_be_listed_are_not_reported_as_not_found(more: str) -> None:
    api = Pages({"comments": [comment(text="other")], more: True})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_comment(api, "1", our_comment()))


def test_messages_that_cannot_be_listed_are_not_reported_as_not_found() -> None:
    items = [dm(client_context="x", text="other")]
    api = Pages({"thread": {"thread_id": "9", "items": items, "has_older": True}})
    with pytest.raises(SearchIncomplete):
        asyncio.run(find_dm(api, "5", our_dm()))


def test_a_comment_without_a_time_does_not_end_the_search() -> None:
    first = {"comments": [comment(text="other", created_at_utc=None)], "next_min_id": "more"}
    api = Pages(first, {"comments": [comment(pk="2")]})
    assert asyncio.run(find_comment(api, "1", our_comment())) == comment(pk="2")
