"""Did a write reach Instagram? Reading a thread, or the comments under a post, to find out.

The replies are read raw: the library's models refuse a whole page for one item of a kind they
do not know, and then a write that was done would look undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.instagram.tokens import is_client_context

Row = Mapping[str, Any]

MAX_PAGES: Final = 5
_PAGE: Final = 20

# Instagram tells comments' times in seconds, by a clock of its own.
_CLOCK_SLACK_MS: Final = 2_000


class SearchIncomplete(Exception):
    """There was more than the pages read, so "not found" would be a guess."""


class PrivateApi(Protocol):
    """The one method of the client that is used here."""

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        """Send one request; gives the decoded reply."""


@dataclass(frozen=True)
class SoughtDm:
    """A DM to recognise.

    Parameters:
      client_context: The one it was sent with.
      own_pk: Who sent it.
      text: What it said.
      since_ms: Unix time from which on it may have been stored.
    """

    client_context: str
    own_pk: str
    text: str
    since_ms: int


@dataclass(frozen=True)
class SoughtComment:
    """A comment to recognise; fields as in `SoughtDm`."""

    own_pk: str
    text: str
    since_ms: int


async def find_dm(api: PrivateApi, pk: str, sought: SoughtDm) -> tuple[Row, str] | None:
    """Look for a DM in the thread with its recipient.

    Parameters:
      api: The account's client.
      pk: The recipient.
      sought: What to look for.

    Returns:
      The item as Instagram shows it and the thread's id, or None when it is not there.

    Raises:
      SearchIncomplete: When the thread has more newer messages than are read.
    """
    thread_id = await _thread_with(api, pk)
    if thread_id is None:
        return None
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await _thread_page(api, thread_id, cursor)
        items = page.get("items") or []
        if item := match_dm(items, sought):
            return item, thread_id
        cursor = page.get("oldest_cursor")
        if not cursor or any(_dm_ms(item) < sought.since_ms - _CLOCK_SLACK_MS for item in items):
            return None
    raise SearchIncomplete("the thread has more newer messages than were read")


async def find_comment(api: PrivateApi, media_pk: str, sought: SoughtComment) -> Row | None:
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
    for _ in range(MAX_PAGES):
        page = await api.private_request(f"media/{media_pk}/comments/", params=params)
        rows = page.get("comments") or []
        if found := match_comment(rows, sought):
            return found
        cursors = {
            key: page[f"next_{key}"] for key in ("min_id", "max_id") if page.get(f"next_{key}")
        }
        if not cursors or _all_older_follow(rows, sought.since_ms):
            return None
        params = {"can_support_threading": "true", "permalink_enabled": "false"} | cursors
    raise SearchIncomplete("the post has more comments than were read")


def match_dm(items: Iterable[Row], sought: SoughtDm) -> Row | None:
    """Pick a DM out of a thread: by its token, else by own user, text and time.

    Parameters:
      items: Messages as Instagram shows them.
      sought: What to look for.

    Returns:
      The message, or None.
    """
    rows = list(items)
    by_token = (row for row in rows if _context(row) == sought.client_context)
    by_text = (row for row in rows if _reads_like(row, sought))
    return next(by_token, None) or next(by_text, None)


def match_comment(rows: Iterable[Row], sought: SoughtComment) -> Row | None:
    """Pick a comment by own user, text and time; comments show no token.

    Parameters:
      rows: Comments as Instagram shows them.
      sought: What to look for.

    Returns:
      The comment, or None.
    """
    return next(
        (
            row
            for row in rows
            if _author(row) == sought.own_pk
            and _same_text(row.get("text"), sought.text)
            and _comment_ms(row) >= sought.since_ms - _CLOCK_SLACK_MS
        ),
        None,
    )


async def _thread_with(api: PrivateApi, pk: str) -> str | None:
    reply = await api.private_request(
        "direct_v2/threads/get_by_participants/",
        params={"recipient_users": f"[{pk}]", "seq_id": 2580572, "limit": _PAGE},
    )
    thread = reply.get("thread") or reply
    thread_id = thread.get("thread_id") or thread.get("thread_v2_id")
    return str(thread_id) if thread_id else None


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


def _reads_like(row: Row, sought: SoughtDm) -> bool:
    """Tell whether a message without our token may still be ours.

    One that carries another token of this client is another job's, whatever it says.
    """
    own = row.get("is_sent_by_viewer") is True or str(row.get("user_id")) == sought.own_pk
    return (
        own
        and not is_client_context(_context(row))
        and _same_text(_dm_text(row), sought.text)
        and _dm_ms(row) >= sought.since_ms - _CLOCK_SLACK_MS
    )


def _context(row: Row) -> str:
    return str(row.get("client_context") or "")


def _dm_text(row: Row) -> object:
    return row.get("text") or (row.get("link") or {}).get("text")


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
    return bool(times) and in_order and times[-1] < since_ms - _CLOCK_SLACK_MS
