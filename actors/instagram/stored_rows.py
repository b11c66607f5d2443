"""Comments and messages as Instagram lists them: their ids, authors, times and texts. Pure.

Rows are read raw and tolerantly. A field may be missing, null, or of another type: ids and pks are
numbers in some replies and strings in others, and comments are listed at several places of a reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]

#: Replies to comments are two levels below the reply (`comments[].preview_child_comments[]`), and
#: streamed comments as well (`stream_rows[].comments[]`).
_MAX_DEPTH: Final = 3
_COMMENT_IDS: Final = ("pk", "id", "strong_id__")
_USER_IDS: Final = ("pk", "pk_id", "id", "strong_id__")
#: Messages that show a link as a card: items with these keys are lists of cards, whose texts and
#: addresses are in the keys below (aiograpi: `extract_media_v1_xma`).
_CARDS: Final = ("xma_link", "generic_xma", "xma_media_share", "xma_reel_share", "xma_clip")
_CARD_TEXTS: Final = ("title_text", "caption_body_text", "header_title_text", "subtitle_text")


def rows_of(listed: object) -> list[Row]:
    """Return the rows of a list, without what is no row."""
    return [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []


def is_list_of_rows(listed: object) -> bool:
    """Whether this is a list of nothing but rows: otherwise it may hide one."""
    return isinstance(listed, list) and len(rows_of(listed)) == len(listed)


def lists_comments(page: Row) -> bool:
    """Whether a reply is a page of comments, of which each can be read.

    One that is streamed has its list in parts (`stream_rows`).
    """
    parts = [page, *rows_of(page.get("stream_rows"))]
    lists = [part["comments"] for part in parts if "comments" in part]
    return bool(lists) and all(map(is_list_of_rows, lists))


def comments_in(page: Row) -> list[Row]:
    """Return every comment in a reply, wherever it is listed.

    Besides `comments` there are `preview_comments`, `fb_comments`, lists of hidden and pending
    ones, and the replies to each comment. A caption is no comment.
    """
    return list(_comments_below(page, _MAX_DEPTH))


def _comments_below(node: Row, depth: int) -> Iterator[Row]:
    for row in (row for listed in node.values() for row in rows_of(listed)):
        if _is_comment(row):
            yield row
        if depth > 1:
            yield from _comments_below(row, depth - 1)


def _is_comment(row: Row) -> bool:
    """Whether a row is a comment, although its text, author or time may not be shown."""
    dated = "created_at" in row or "created_at_utc" in row
    by_somebody = "user" in row or "user_id" in row
    return bool(comment_id(row)) and [dated, by_somebody, "text" in row].count(True) > 1


def comment_id(row: Row) -> str:
    """A comment's id; '' if it has none."""
    return _first_id(row, _COMMENT_IDS)


def message_id(row: Row) -> str:
    """A message's id; '' if it has none."""
    return _first_id(row, ("item_id", "message_id", "id"))


def author_pk(row: Row) -> str:
    """The pk of who wrote a comment or message; '' if it is not shown."""
    user = row.get("user")
    named = _first_id(user, _USER_IDS) if isinstance(user, Mapping) else ""
    return named or _first_id(row, ("user_id", "sender_id"))


def client_context(row: Row) -> str:
    """The token that a message was sent with; '' if it is not shown."""
    return str(row.get("client_context") or "")


def comment_ms(row: Row) -> int:
    """When a comment was stored, as Unix time in ms; 0 if it is not shown."""
    return _unix_ms(row.get("created_at_utc")) or _unix_ms(row.get("created_at"))


def message_ms(row: Row) -> int:
    """When a message was stored, as Unix time in ms; 0 if it is not shown."""
    return _unix_ms(row.get("timestamp"))


def comment_text(row: Row) -> str:
    """A comment's text; '' if it is not shown."""
    return _text(row.get("text"))


def message_text(row: Row) -> str:
    """A message's text, also if it is sent as a link; '' if it is not shown."""
    link = row.get("link")
    return _text(row.get("text")) or (_text(link.get("text")) if isinstance(link, Mapping) else "")


def card_texts(row: Row) -> list[str]:
    """The texts of the cards that a message consists of."""
    texts = (_text(card.get(key)) for card in _cards(row) for key in _CARD_TEXTS)
    return [text for text in texts if text]


def message_urls(row: Row) -> list[str]:
    """The addresses of the link or cards that a message consists of."""
    link = row.get("link")
    context = link.get("link_context") if isinstance(link, Mapping) else None
    urls = [_text(context.get("link_url"))] if isinstance(context, Mapping) else []
    urls += [_text(card.get("target_url")) for card in _cards(row)]
    return [url for url in urls if url]


def _cards(row: Row) -> Iterator[Row]:
    for key in _CARDS:
        listed = row.get(key)
        yield from rows_of([listed] if isinstance(listed, Mapping) else listed)


def _first_id(row: Row, keys: Iterable[str]) -> str:
    return next((str(row[key]) for key in keys if row.get(key)), "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unix_ms(value: object) -> int:
    """Convert a Unix time in s, ms, us or ns, as a number or in digits; 0 for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
        units = next(power for limit, power in _UNITS if number < limit)
        return int(number * 1000) if units == 0 else int(number) // units
    except (TypeError, ValueError, OverflowError, StopIteration):
        return 0


#: A time below the limit is in a unit of which so many make a ms (0: in seconds).
_UNITS: Final[Sequence[tuple[float, int]]] = (
    (1e11, 0),
    (1e14, 1),
    (1e17, 1_000),
    (1e20, 1_000_000),
)
