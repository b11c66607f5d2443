"""Pages of a list: `{"items": [...], "next": cursor|null}`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from service.jobs.queries import Page

Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,15}$",
        description="`next` of the previous page; leave it out for the first",
    ),
]
Limit = Annotated[int, Query(ge=1, le=200, description="The maximum number of items on a page")]


def parse_cursor(cursor: str | None) -> int | None:
    return None if cursor is None else int(cursor)


def page_response(page: Page) -> dict[str, Any]:
    cursor = None if page.next is None else str(page.next)
    return {"items": list(page.items), "next": cursor}
