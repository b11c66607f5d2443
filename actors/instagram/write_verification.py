"""Verifies whether a write reached Instagram, by reading its thread or the post's comments.

Replies are read raw: the library's models reject a whole page for one item of an unknown kind,
and a write that was stored would then appear to be missing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from actors.instagram.idempotency_tokens import is_client_context

Row = Mapping[str, Any]

#: Returns which of the given Instagram ids belong to other jobs.
OwnedByOthers = Callable[[Sequence[str]], Awaitable[Set[str]]]

#: At human pace, reading this many pages still fits into the time limit of a call.
MAX_PAGES: Final = 15
_PAGE_SIZE: Final = 20

# `Date` headers and comment times are whole seconds from different machines. Too early a limit is
# harmless: other jobs' writes are excluded by id. Too late a limit would send the write twice.
_DATED_SLACK_MS: Final = 5_000
# Without a `Date` header only our own clock is left, which may be minutes off.
_UNDATED_SLACK_MS: Final = 300_000


async def no_owner(_ids: Sequence[str]) -> Set[str]:
    """An `OwnedByOthers` that knows no other jobs."""
    return frozenset()


class SearchIncomplete(Exception):
    """There is more than the pages that were read, so "not found" would be a guess."""


class PrivateApi(Protocol):
    """The part of the client used here."""

    last_response: Any

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        """Send one request and return the decoded reply."""


@dataclass(frozen=True)
class WriteQuery:
    """The write to search for.

    Parameters:
      own_pk: The pk of the account that sent it.
      text: Its text; None for a photo.
      intended_at: When its intent was recorded, in monotonic seconds of this process.
      client_context: A DM's token; comments do not show theirs.
      owned_by_others: Returns which ids belong to other jobs.
    """

    own_pk: str
    text: str | None
    intended_at: float
    client_context: str = ""
    owned_by_others: OwnedByOthers = no_owner


@dataclass(frozen=True)
class FoundDm:
    """A DM that was found.

    Parameters:
      item: Instagram's message object.
      thread_id: Its thread's id.
      by_token: Whether it was matched by token; otherwise by sender, content and time.
    """

    item: Row
    thread_id: str
    by_token: bool


async def find_dm(api: PrivateApi, pk: str, query: WriteQuery) -> FoundDm | None:
    """Search the thread with its recipient for a DM.

    Parameters:
      api: The account's client.
      pk: The recipient's pk.
      query: The DM to search for.

    Returns:
      The message, or None when the thread does not show it.

    Raises:
      SearchIncomplete: The thread has more newer messages than are read.
    """
    thread_id = await find_thread_id(api, pk)
    if thread_id is None:
        return None
    candidates: list[Row] = []
    cursor: str | None = None
    complete = False
    for _ in range(MAX_PAGES):
        page = await _thread_page(api, thread_id, cursor)
        items, since_ms = page.get("items") or [], earliest_stored_ms(api.last_response, query)
        if item := with_token(items, query):
            return FoundDm(item, thread_id, by_token=True)
        candidates += matching_dms(items, query, since_ms)
        cursor = page.get("oldest_cursor")
        # An item of an unknown kind may lack a timestamp, which says nothing about its age.
        complete = not cursor or any(0 < _dm_ms(item) < since_ms for item in items)
        if complete:
            break
    if item := await _oldest_unowned(candidates, "item_id", _dm_ms, query):
        return FoundDm(item, thread_id, by_token=False)
    if not complete:
        raise SearchIncomplete("the thread has more newer messages than were read")
    return None


async def find_comment(api: PrivateApi, media_pk: str, query: WriteQuery) -> Row | None:
    """Search a post's comments.

    Parameters:
      api: The account's client.
      media_pk: The post's media pk.
      query: The comment to search for.

    Returns:
      Instagram's comment object, or None when the post does not show it.

    Raises:
      SearchIncomplete: The post has more comments than are read.
    """
    candidates: list[Row] = []
    cursors: dict[str, str] = {}
    complete = False
    for _ in range(MAX_PAGES):
        params = {"can_support_threading": "true", "permalink_enabled": "false"} | cursors
        page = await api.private_request(f"media/{media_pk}/comments/", params=params)
        rows, since_ms = page.get("comments") or [], earliest_stored_ms(api.last_response, query)
        candidates += matching_comments(rows, query, since_ms)
        cursors = {
            key: page[f"next_{key}"] for key in ("min_id", "max_id") if page.get(f"next_{key}")
        }
        complete = not cursors or _rest_is_older(rows, since_ms)
        if complete:
            break
    if found := await _oldest_unowned(candidates, "pk", _comment_ms, query):
        return found
    if not complete:
        raise SearchIncomplete("the post has more comments than were read")
    return None


def earliest_stored_ms(reply: Any, query: WriteQuery) -> int:
    """The earliest time at which the write may have been stored, by Instagram's clock.

    The clocks of Redis, this machine and Instagram may differ, so only the age of the intent is
    carried from one to another.

    Parameters:
      reply: The HTTP response just received, or None.
      query: The write to search for.

    Returns:
      Unix time in ms.
    """
    age_ms = round((time.monotonic() - query.intended_at) * 1000)
    instagram_ms = _date_ms(reply)
    if instagram_ms is None:
        return round(time.time() * 1000) - age_ms - _UNDATED_SLACK_MS
    return instagram_ms - age_ms - _DATED_SLACK_MS


def with_token(items: Iterable[Row], query: WriteQuery) -> Row | None:
    """Return the DM that carries the write's token, whatever its other fields."""
    return next((row for row in items if _context(row) == query.client_context), None)


def matching_dms(items: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the DMs that match by sender, content and time and carry no token of this client.

    A DM with another token of this client belongs to another job. Photos cannot be told apart by
    content, so only one without any token matches.
    """
    return [
        row
        for row in items
        if (row.get("is_sent_by_viewer") is True or str(row.get("user_id")) == query.own_pk)
        and not is_client_context(_context(row))
        and _same_content(row, query)
        and _dm_ms(row) >= since_ms
    ]


def matching_comments(rows: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the comments that match by author, text and time; comments show no token."""
    return [
        row
        for row in rows
        if _author(row) == query.own_pk
        and _same_text(row.get("text"), query.text or "")
        and _comment_ms(row) >= since_ms
    ]


async def _oldest_unowned(
    newest_first: Sequence[Row], id_key: str, stored_ms: Callable[[Row], int], query: WriteQuery
) -> Row | None:
    """Return the oldest row that belongs to no other job.

    A newer one could be the only match for a job whose intent is later.
    """
    owned = await query.owned_by_others([str(row[id_key]) for row in newest_first])
    unowned = [row for row in reversed(newest_first) if str(row[id_key]) not in owned]
    return min(unowned, key=stored_ms, default=None)


def _date_ms(reply: Any) -> int | None:
    try:
        moment = parsedate_to_datetime(reply.headers["date"])
        return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


async def find_thread_id(api: PrivateApi, pk: str) -> str | None:
    """The id of the account's thread with a user; None when there is none."""
    thread = await get_thread(api, pk)
    thread_id = thread.get("thread_id") or thread.get("thread_v2_id")
    return str(thread_id) if thread_id else None


async def get_thread(api: PrivateApi, pk: str) -> Row:
    """Read Instagram's object of the account's thread with a user.

    Without a thread, the reply has no thread id.
    """
    reply = await api.private_request(
        "direct_v2/threads/get_by_participants/",
        params={"recipient_users": f"[{pk}]", "seq_id": 2580572, "limit": _PAGE_SIZE},
    )
    thread: Row = reply.get("thread") or reply
    return thread


async def _thread_page(api: PrivateApi, thread_id: str, cursor: str | None) -> Row:
    params = {
        "visual_message_return_type": "unseen",
        "direction": "older",
        "seq_id": "40065",
        "limit": str(_PAGE_SIZE),
    } | ({"cursor": cursor} if cursor else {})
    reply = await api.private_request(f"direct_v2/threads/{thread_id}/", params=params)
    thread: Row = reply["thread"]
    return thread


def _context(row: Row) -> str:
    return str(row.get("client_context") or "")


def _dm_text(row: Row) -> object:
    return row.get("text") or (row.get("link") or {}).get("text")


def _same_content(row: Row, query: WriteQuery) -> bool:
    if query.text is None:
        return row.get("item_type") == "media" and not _context(row)
    return _same_text(_dm_text(row), query.text)


def _same_text(shown: object, sent: str) -> bool:
    return isinstance(shown, str) and shown.strip() == sent.strip()


def _dm_ms(row: Row) -> int:
    return int(row.get("timestamp") or 0) // 1_000


def _comment_ms(row: Row) -> int:
    return int(row.get("created_at_utc") or row.get("created_at") or 0) * 1_000


def _author(row: Row) -> str:
    return str((row.get("user") or {}).get("pk") or row.get("user_id"))


def _rest_is_older(rows: list[Row], since_ms: int) -> bool:
    """Whether all later pages are older than `since_ms`.

    That follows only if this page is sorted newest first; Instagram may sort by popularity.
    """
    times = [_comment_ms(row) for row in rows]
    in_order = times == sorted(times, reverse=True)
    return bool(times) and in_order and times[-1] < since_ms
