"""Verifies whether a write reached Instagram, by reading its thread or the post's comments.

Replies are read raw: the library's models reject a whole page for one item of an unknown kind,
and a write that was stored would then appear to be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.instagram.stored_rows import (
    Row,
    client_context,
    comment_id,
    comment_ms,
    comments_in,
    is_list_of_rows,
    lists_comments,
    message_id,
    message_ms,
    rows_of,
)
from actors.instagram.threads import PrivateApi, find_thread_id, thread_page
from actors.instagram.write_matching import (
    alike_comments,
    alike_dms,
    forgotten_dms,
    matching_comments,
    matching_dms,
    with_token,
)
from actors.instagram.write_query import WriteQuery, earliest_stored_ms, latest_lost_ms

#: At human pace, reading this many pages still fits into the time limit of a call.
MAX_PAGES: Final = 15
_NO_CURSORS: Final[Mapping[str, str]] = {}


class SearchIncomplete(Exception):
    """There is more than the pages that were read, so "not found" would be a guess."""


class SimilarWriteFound(Exception):
    """The account wrote something alike at that time, so "not found" would be a guess."""


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
      SimilarWriteFound: The thread shows a message that may be it.
      LookupError: A reply shows no messages, or some that cannot be read.
    """
    query.report.restart()
    thread_id = await find_thread_id(api, pk)
    if thread_id is None:
        query.report.complete = True
        return None
    query.report.thread_id = thread_id
    found, cursor = _Candidates(query, message_id, message_ms), None
    for _ in range(MAX_PAGES):
        page = await thread_page(api, thread_id, cursor)
        items, since_ms = rows_of(page.get("items")), earliest_stored_ms(api.last_response, query)
        query.report.add_page(len(items))
        if item := with_token(items, query):
            return FoundDm(item, thread_id, by_token=True)
        found.same += matching_dms(items, query, since_ms)
        found.alike += alike_dms(items, query, since_ms)
        if query.lost:
            until_ms = latest_lost_ms(api.last_response, query.lost)
            found.forgotten += forgotten_dms(items, query, since_ms, until_ms)
        cursor = page.get("oldest_cursor")
        # An item of an unknown kind may lack a timestamp, which says nothing about its age.
        found.complete = any(0 < message_ms(item) < since_ms for item in items)
        found.complete |= not cursor and not page.get("has_older")
        found.unreadable |= not is_list_of_rows(page.get("items"))
        if found.complete or not cursor:
            break
    item = await found.settle("the thread")
    return None if item is None else FoundDm(item, thread_id, by_token=False)


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
      SimilarWriteFound: The post shows a comment that may be it.
      LookupError: A reply shows no comments, or some that cannot be read.
    """
    query.report.restart()
    found, cursors = _Candidates(query, comment_id, comment_ms), _NO_CURSORS
    for _ in range(MAX_PAGES):
        params = {"can_support_threading": "true", "permalink_enabled": "false", **cursors}
        page = await api.private_request(f"media/{media_pk}/comments/", params=params)
        rows, since_ms = comments_in(page), earliest_stored_ms(api.last_response, query)
        query.report.add_page(len(rows))
        found.same += matching_comments(rows, query, since_ms)
        found.alike += alike_comments(rows, query, since_ms)
        cursors = _next_cursors(page)
        found.complete = _rest_is_older(page, since_ms)
        found.complete |= not cursors and not _says_more(page, shown=bool(rows))
        found.unreadable |= not lists_comments(page)
        if found.complete or not cursors:
            break
    return await found.settle("the post")


@dataclass
class _Candidates:
    """What the pages read so far show of the write.

    Parameters:
      query: The write to search for.
      id_of: Returns a row's id.
      stored_ms: Returns when a row was stored.
      same: The rows that match, newest first.
      alike: The rows that may be it, newest first.
      forgotten: The rows of the lost time that match but for their token, newest first.
      complete: Whether the pages not read cannot show it.
      unreadable: Whether a page that was read has something that may be it.
    """

    query: WriteQuery
    id_of: Callable[[Row], str]
    stored_ms: Callable[[Row], int]
    same: list[Row] = field(default_factory=list)
    alike: list[Row] = field(default_factory=list)
    forgotten: list[Row] = field(default_factory=list)
    complete: bool = False
    unreadable: bool = False

    async def settle(self, where: str) -> Row | None:
        """Return the row that is the write; None if it is certainly not shown.

        Raises:
          SearchIncomplete: There is more to read.
          LookupError: A page could not be read.
          SimilarWriteFound: A row may be it.
        """
        self._report()
        if row := await self._oldest_unowned(self.same):
            return row
        row = await self._oldest_unowned(await self._of_forgotten_jobs())
        if row and self.query.text is not None:
            return row
        if row or await self._oldest_unowned(self.alike):
            raise SimilarWriteFound(f"{where} shows something similar")
        if self.unreadable:
            raise LookupError(f"{where} has a page that cannot be read")
        if not self.complete:
            raise SearchIncomplete(f"{where} has more than was read")
        return None

    def _report(self) -> None:
        report = self.query.report
        report.matching, report.similar = len(self.same), len(self.alike)
        report.complete = self.complete and not self.unreadable

    async def _of_forgotten_jobs(self) -> list[Row]:
        """The rows whose tokens belong to no job that the store knows."""
        if self.query.lost is None:
            return []
        tokens = [client_context(row) for row in self.forgotten]
        known = await self.query.lost.known_tokens(tokens)
        return [row for row in self.forgotten if client_context(row) not in known]

    async def _oldest_unowned(self, newest_first: Sequence[Row]) -> Row | None:
        """Return the oldest row that belongs to no other job.

        A newer one could be the only match for a job whose intent is later.
        """
        owned = await self.query.owned_by_others([self.id_of(row) for row in newest_first])
        unowned = [row for row in reversed(newest_first) if self.id_of(row) not in owned]
        return min(unowned, key=self.stored_ms, default=None)


def _next_cursors(page: Row) -> Mapping[str, str]:
    """The parameters that ask for the next page of comments; none after the last."""
    return {key: page[f"next_{key}"] for key in ("min_id", "max_id") if page.get(f"next_{key}")}


def _says_more(page: Row, *, shown: bool) -> bool:
    """Whether a page of comments says that there are more, although it may have no cursor.

    Parameters:
      page: The reply.
      shown: Whether it shows any. Those that it counts include replies and hidden ones, so that
        only none at all contradicts the count.
    """
    more = page.get("has_more_comments") or page.get("has_more_headload_comments")
    return bool(more or (not shown and page.get("comment_count")))


def _rest_is_older(page: Row, since_ms: int) -> bool:
    """Whether all later pages are older than `since_ms`.

    That follows only if this page is sorted newest first; Instagram may sort by popularity, and
    says so (`is_ranked`), but not always.
    """
    if page.get("is_ranked"):
        return False
    times = [comment_ms(row) for row in rows_of(page.get("comments"))]
    in_order = times == sorted(times, reverse=True)
    return bool(times) and in_order and 0 < times[-1] < since_ms
