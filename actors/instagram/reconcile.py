"""Did a write reach Instagram? Reading a thread, or the comments under a post, to find out.

The replies are read raw: the library's models refuse a whole page for one item of a kind they
do not know, and then a write that was done would look undone.
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

#: Tells which of some ids at Instagram belong to other jobs.
OwnedByOthers = Callable[[Sequence[str]], Awaitable[Set[str]]]

#: At a human pace a look-up of so many pages still ends within a call's time.
MAX_PAGES: Final = 15
_PAGE: Final = 20

# `Date` and comments' times are cut to whole seconds, and told by different machines of
# Instagram's. Too early a moment is harmless where too late a one sends twice: what other jobs
# wrote since is told apart by its id.
_DATED_SLACK_MS: Final = 5_000
# Without a `Date` there is only our own clock to go by, which may be minutes off.
_UNDATED_SLACK_MS: Final = 300_000


async def no_owner(_ids: Sequence[str]) -> Set[str]:
    """Know of no other job's writes."""
    return frozenset()


class SearchIncomplete(Exception):
    """There was more than the pages read, so "not found" would be a guess."""


class PrivateApi(Protocol):
    """What of the client is used here."""

    last_response: Any

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        """Send one request; gives the decoded reply."""


@dataclass(frozen=True)
class WriteQuery:
    """A write to recognise.

    Parameters:
      own_pk: Who made it.
      text: What it says; None for a photo.
      intended_at: When it was about to be made, in monotonic seconds of this process.
      client_context: A DM's; comments show none.
      not_these: Which ids belong to other jobs.
    """

    own_pk: str
    text: str | None
    intended_at: float
    client_context: str = ""
    owned_by_others: OwnedByOthers = no_owner


@dataclass(frozen=True)
class FoundDm:
    """A DM that was recognised.

    Parameters:
      item: The message as Instagram shows it.
      thread_id: Its thread's id.
      by_token: Whether its token told; otherwise it only reads like ours.
    """

    item: Row
    thread_id: str
    by_token: bool


async def find_dm(api: PrivateApi, pk: str, sought: WriteQuery) -> FoundDm | None:
    """Look for a DM in the thread with its recipient.

    Parameters:
      api: The account's client.
      pk: The recipient.
      sought: What to look for.

    Returns:
      The message, or None when it is not there.

    Raises:
      SearchIncomplete: When the thread has more newer messages than are read.
    """
    thread_id = await thread_with(api, pk)
    if thread_id is None:
        return None
    cursor: str | None = None
    alike: list[Row] = []
    for _ in range(MAX_PAGES):
        page = await _thread_page(api, thread_id, cursor)
        items, since_ms = page.get("items") or [], earliest_ms(api.last_response, sought)
        if item := with_token(items, sought):
            return FoundDm(item, thread_id, by_token=True)
        alike += dms_like(items, sought, since_ms)
        cursor = page.get("oldest_cursor")
        if not cursor or any(0 < _dm_ms(item) < since_ms for item in items):
            item = await _oldest_unowned(alike, "item_id", _dm_ms, sought)
            return FoundDm(item, thread_id, by_token=False) if item else None
    if item := await _oldest_unowned(alike, "item_id", _dm_ms, sought):
        return FoundDm(item, thread_id, by_token=False)
    raise SearchIncomplete("the thread has more newer messages than were read")


async def find_comment(api: PrivateApi, media_pk: str, sought: WriteQuery) -> Row | None:
    """Look for a comment under a post.

    Parameters:
      api: The account's client.
      media_pk: The post.
      sought: What to look for.

    Returns:
      The comment as Instagram shows it, or None when it is not there.

    Raises:
      SearchIncomplete: When there are more comments than are read.
    """
    params = {"can_support_threading": "true", "permalink_enabled": "false"}
    alike: list[Row] = []
    for _ in range(MAX_PAGES):
        page = await api.private_request(f"media/{media_pk}/comments/", params=params)
        rows, since_ms = page.get("comments") or [], earliest_ms(api.last_response, sought)
        alike += comments_like(rows, sought, since_ms)
        cursors = {
            key: page[f"next_{key}"] for key in ("min_id", "max_id") if page.get(f"next_{key}")
        }
        if not cursors or _all_older_follow(rows, since_ms):
            return await _oldest_unowned(alike, "pk", _comment_ms, sought)
        params = {"can_support_threading": "true", "permalink_enabled": "false"} | cursors
    if found := await _oldest_unowned(alike, "pk", _comment_ms, sought):
        return found
    raise SearchIncomplete("the post has more comments than were read")


def earliest_ms(reply: Any, sought: WriteQuery) -> int:
    """Tell from when on a write may have been stored, by Instagram's clock.

    Redis, this machine and Instagram need not agree about the time: only how long ago the intent
    was is carried from one clock to another.

    Parameters:
      reply: The HTTP reply that has just come; None where there is none.
      sought: What to look for.

    Returns:
      Unix time in ms.
    """
    age_ms = round((time.monotonic() - sought.intended_at) * 1000)
    told_ms = _date_ms(reply)
    if told_ms is None:
        return round(time.time() * 1000) - age_ms - _UNDATED_SLACK_MS
    return told_ms - age_ms - _DATED_SLACK_MS


def with_token(items: Iterable[Row], sought: WriteQuery) -> Row | None:
    """Pick the DM that carries the token it was sent with, whatever else it shows."""
    return next((row for row in items if _context(row) == sought.client_context), None)


def dms_like(items: Iterable[Row], sought: WriteQuery, since_ms: int) -> list[Row]:
    """Pick the DMs without a token of ours that may be it by sender, content and time.

    One that carries another token of this client is another job's, whatever it says. Photos are
    all alike: only one without any token may be ours.
    """
    return [
        row
        for row in items
        if (row.get("is_sent_by_viewer") is True or str(row.get("user_id")) == sought.own_pk)
        and not is_client_context(_context(row))
        and _same_content(row, sought)
        and _dm_ms(row) >= since_ms
    ]


def comments_like(rows: Iterable[Row], sought: WriteQuery, since_ms: int) -> list[Row]:
    """Pick the comments that may be it by author, text and time; they show no token."""
    return [
        row
        for row in rows
        if _author(row) == sought.own_pk
        and _same_text(row.get("text"), sought.text or "")
        and _comment_ms(row) >= since_ms
    ]


async def _oldest_unowned(
    newest_first: Sequence[Row], key: str, told_ms: Callable[[Row], int], sought: WriteQuery
) -> Row | None:
    """Pick the oldest row that is no other job's.

    Taking a newer one could leave a job that was meant later with none that is new enough.
    """
    others = await sought.owned_by_others([str(row[key]) for row in newest_first])
    free = [row for row in reversed(newest_first) if str(row[key]) not in others]
    return min(free, key=told_ms, default=None)


def _date_ms(reply: Any) -> int | None:
    try:
        moment = parsedate_to_datetime(reply.headers["date"])
        return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


async def thread_with(api: PrivateApi, pk: str) -> str | None:
    """Tell the id of the account's thread with one person; None when there is none."""
    thread = await shown_thread(api, pk)
    thread_id = thread.get("thread_id") or thread.get("thread_v2_id")
    return str(thread_id) if thread_id else None


async def shown_thread(api: PrivateApi, pk: str) -> Row:
    """Read the account's thread with one person, as Instagram shows it; {} when there is none."""
    reply = await api.private_request(
        "direct_v2/threads/get_by_participants/",
        params={"recipient_users": f"[{pk}]", "seq_id": 2580572, "limit": _PAGE},
    )
    thread: Row = reply.get("thread") or reply
    return thread


async def _thread_page(api: PrivateApi, thread_id: str, cursor: str | None) -> Row:
    params = {
        "visual_message_return_type": "unseen",
        "direction": "older",
        "seq_id": "40065",
        "limit": str(_PAGE),
    } | ({"cursor": cursor} if cursor else {})
    reply = await api.private_request(f"direct_v2/threads/{thread_id}/", params=params)
    thread: Row = reply["thread"]
    return thread


def _context(row: Row) -> str:
    return str(row.get("client_context") or "")


def _dm_text(row: Row) -> object:
    return row.get("text") or (row.get("link") or {}).get("text")


def _same_content(row: Row, sought: WriteQuery) -> bool:
    if sought.text is None:
        return row.get("item_type") == "media" and not _context(row)
    return _same_text(_dm_text(row), sought.text)


def _same_text(shown: object, sent: str) -> bool:
    return isinstance(shown, str) and shown.strip() == sent.strip()


def _dm_ms(row: Row) -> int:
    return int(row.get("timestamp") or 0) // 1_000


def _comment_ms(row: Row) -> int:
    return int(row.get("created_at_utc") or row.get("created_at") or 0) * 1_000


def _author(row: Row) -> str:
    return str((row.get("user") or {}).get("pk") or row.get("user_id"))


def _all_older_follow(rows: list[Row], since_ms: int) -> bool:
    """Tell whether every later page is too old: only if this one is in order, newest first.

    Instagram may order comments by popularity, and then nothing follows from a page.
    """
    times = [_comment_ms(row) for row in rows]
    in_order = times == sorted(times, reverse=True)
    return bool(times) and in_order and times[-1] < since_ms
