"""Decides which comments and messages are the write that a verification searches for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.instagram.idempotency_tokens import is_client_context
from actors.instagram.stored_rows import (
    Row,
    author_pk,
    card_texts,
    client_context,
    comment_ms,
    comment_text,
    message_ms,
    message_text,
    message_urls,
)
from actors.instagram.stored_text import has_link, is_alike, is_same
from actors.instagram.write_query import WriteQuery

#: Messages of which Instagram shows this client nothing but that they exist.
_PLACEHOLDERS: Final = frozenset({"placeholder", "expired_placeholder"})


def with_token(items: Iterable[Row], query: WriteQuery) -> Row | None:
    """Return the DM that carries the write's token, whatever its other fields."""
    return next((row for row in items if client_context(row) == query.client_context), None)


def matching_dms(items: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the DMs that match by sender, content and time and carry no token of this client.

    A DM with another token of this client belongs to another job. Photos cannot be told apart by
    content, so only one without any token matches.
    """
    return [
        row
        for row in items
        if _may_be_ours(row, query) and message_ms(row) >= since_ms and _is_same_dm(row, query)
    ]


def forgotten_dms(
    items: Iterable[Row], query: WriteQuery, since_ms: int, until_ms: int
) -> list[Row]:
    """Return the DMs of a time that have the write's content and another token of this client.

    Whether their jobs are forgotten is to be asked by their tokens.
    """
    return [
        row
        for row in items
        if is_client_context(client_context(row))
        and client_context(row) != query.client_context
        and since_ms <= message_ms(row) <= until_ms
        and _has_content(row, query)
    ]


def alike_dms(items: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the DMs that may be the write as Instagram stored it, but do not match.

    They are alike, or do not show their content, time or author.
    """
    return [
        row
        for row in items
        if (_may_be_ours(row, query) or _is_anonymous_dm(row, query))
        and _is_recent(message_ms(row), since_ms)
        and (_is_alike_dm(row, query) or (_is_same_dm(row, query) and not message_ms(row)))
    ]


def matching_comments(rows: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the comments that match by author, text and time; comments show no token."""
    return [
        row
        for row in rows
        if author_pk(row) == query.own_pk
        and comment_ms(row) >= since_ms
        and is_same(comment_text(row), query.text or "")
    ]


def alike_comments(rows: Iterable[Row], query: WriteQuery, since_ms: int) -> list[Row]:
    """Return the comments that may be the write as Instagram stored it, but do not match.

    They are alike, or do not show their text, time or author.
    """
    return [
        row
        for row in rows
        if author_pk(row) in ("", query.own_pk)
        and _is_recent(comment_ms(row), since_ms)
        and _may_be_text(comment_text(row), query.text or "", author=author_pk(row))
    ]


def _may_be_text(shown: str, sent: str, *, author: str) -> bool:
    if not shown:
        return bool(author)
    return is_alike(shown, sent) or is_same(shown, sent)


def _is_recent(stored_ms: int, since_ms: int) -> bool:
    return stored_ms >= since_ms or stored_ms == 0


def _may_be_ours(row: Row, query: WriteQuery) -> bool:
    is_own = row.get("is_sent_by_viewer") is True or author_pk(row) == query.own_pk
    return is_own and not is_client_context(client_context(row))


def _is_anonymous_dm(row: Row, query: WriteQuery) -> bool:
    """Whether a message that does not show its author has the write's text, and no token."""
    shown = row.get("is_sent_by_viewer") is not None or bool(author_pk(row))
    return not shown and not client_context(row) and query.text is not None


def _is_same_dm(row: Row, query: WriteQuery) -> bool:
    return _has_content(row, query) and (query.text is not None or not client_context(row))


def _has_content(row: Row, query: WriteQuery) -> bool:
    if query.text is None:
        return row.get("item_type") == "media"
    return any(is_same(text, query.text) for text in _contents(row))


def _is_alike_dm(row: Row, query: WriteQuery) -> bool:
    is_hidden = row.get("item_type") in _PLACEHOLDERS or _is_blank_text(row)
    if is_hidden and not client_context(row):
        return True
    if query.text is None:
        return False
    sent = query.text
    if any(is_alike(text, sent) for text in _contents(row)):
        return True
    return not message_text(row) and any(has_link(sent, url) for url in message_urls(row))


def _is_blank_text(row: Row) -> bool:
    return row.get("item_type") in ("text", "link") and not _contents(row)


def _contents(row: Row) -> list[str]:
    """What a message shows: its text, or else what the link or cards that it consists of show."""
    text = message_text(row)
    return [text] if text else [*card_texts(row), *message_urls(row)]
