"""Lists: `{"items": [...], "next": cursor|null}`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from service.jobs.queries import Page

Cursor = Annotated[
    str | None,
    Query(pattern=r"^[0-9]{1,15}$", description="`next` of the page before; leave out at first"),
]
Limit = Annotated[int, Query(ge=1, le=200, description="The most items on a page")]


def parse_cursor(cursor: str | None) -> int | None:
    """The position that a cursor stands for."""
    return None if cursor is None else int(cursor)


def page_response(page: Page) -> dict[str, Any]:
    """A page as the API shows it."""
    cursor = None if page.next is None else str(page.next)
    return {"items": list(page.items), "next": cursor}
