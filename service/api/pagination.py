"""Pages of a list: `{"items": [...], "next": cursor|null}`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator

from service.jobs.queries import Page


def matching(shape: str, problem: str) -> AfterValidator:
    """Check an optional text that the service itself has given out before.

    Parameters:
      shape: The regular expression that all of it matches.
      problem: What is wrong with any other text, and what to send instead.
    """
    pattern = re.compile(shape)

    def check(text: str | None) -> str | None:
        if text is not None and pattern.fullmatch(text) is None:
            raise ValueError(problem)
        return text

    return AfterValidator(check)


def list_cursor(shape: str) -> AfterValidator:
    """Check a cursor, which has this shape if it is one of the list.

    Parameters:
      shape: The regular expression that all of it matches.
    """
    return matching(
        shape,
        "is not a cursor of this list: send `next` of its previous page, or leave it out for the"
        " first",
    )


CURSOR_QUERY = Query(description="`next` of the previous page; leave it out for the first")
#: A sequence number, which is exact as a score in Redis.
Cursor = Annotated[str | None, CURSOR_QUERY, list_cursor("[0-9]{1,15}")]
Limit = Annotated[int, Query(ge=1, le=200, description="The maximum number of items on a page")]


def parse_cursor(cursor: str | None) -> int | None:
    return None if cursor is None else int(cursor)


def page_response(page: Page) -> dict[str, Any]:
    cursor = None if page.next is None else str(page.next)
    return {"items": list(page.items), "next": cursor}
