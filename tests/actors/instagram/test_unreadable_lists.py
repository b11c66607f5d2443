"""Verifications whose reads show less than they should: none of it says "not found"."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.stored_rows import Row
from actors.instagram.write_query import WriteQuery
from actors.instagram.write_verification import (
    FoundDm,
    SearchIncomplete,
    find_comment,
    find_dm,
)


class Pages:
    """An API that returns the given pages in order."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = list(pages)
        self.last_response = httpx.Response(200)

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        del endpoint, kwargs
        return self._pages.pop(0)


def write(text: str) -> WriteQuery:
    return WriteQuery("7", text, time.monotonic(), client_context_for("job_x:1"))


def search_comments(page: dict[str, Any]) -> Row | None:
    return asyncio.run(find_comment(Pages(page), "1", write("Lovely!")))


def search_thread(page: dict[str, Any]) -> FoundDm | None:
    known = {"thread": {"thread_id": "9"}, "status": "ok"}
    return asyncio.run(find_dm(Pages(known, page), "5", write("Thank you!")))


@pytest.mark.parametrize(
    "page",
    [
        *({}, {"status": "ok"}, {"comments": None}, {"comments": "x"}, {"comments": {"1": {}}}),
        *({"comments": [None, "x", {}]}, {"stream_rows": [{"status": "ok"}]}),
    ],
    ids=str,
)
def test_a_reply_without_readable_comments_does_not_say_that_there_are_none(
    page: dict[str, Any],
) -> None:
    with pytest.raises(LookupError):
        search_comments(page)


def test_a_page_that_cannot_be_read_is_not_forgotten_for_the_next_one() -> None:
    last = {"comments": [], "comment_count": 0}
    for broken in ({"comments": None}, {"comments": ["x"]}):
        pages = Pages({**broken, "next_min_id": "more"}, last)
        with pytest.raises(LookupError):
            asyncio.run(find_comment(pages, "1", write("Lovely!")))
    # And so in a thread
    known = {"thread": {"thread_id": "9"}, "status": "ok"}
    broken_page = {"thread": {"items": ["x"], "oldest_cursor": "more"}}
    thread = Pages(known, broken_page, {"thread": {"items": []}})
    with pytest.raises(LookupError):
        asyncio.run(find_dm(thread, "5", write("Thank you!")))


def test_a_count_of_comments_without_a_comment_is_doubt() -> None:
    page = {"comments": [], "comment_count": 3}
    with pytest.raises(SearchIncomplete):
        search_comments(page)
    empty = {"comments": [], "comment_count": 0}
    assert search_comments(empty) is None


@pytest.mark.parametrize("listed", [None, "x", {"0": {}}, ["x", 1]], ids=str)
def test_a_thread_without_readable_messages_does_not_say_that_there_are_none(
    listed: object,
) -> None:
    with pytest.raises(LookupError):
        search_thread({"thread": {"items": listed}})
    with pytest.raises(LookupError):
        search_thread({"thread": {}})


def test_the_dm_is_found_beside_what_cannot_be_read() -> None:
    ours = {"item_id": "1", "client_context": client_context_for("job_x:1")}
    found = search_thread({"thread": {"items": ["x", ours]}})
    assert found == FoundDm(ours, "9", by_token=True)


def test_a_reply_that_is_not_about_threads_does_not_say_that_there_is_none() -> None:
    with pytest.raises(LookupError):
        asyncio.run(find_dm(Pages({}), "5", write("Thank you!")))
