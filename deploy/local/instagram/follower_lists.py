"""How Instagram lists followers: completely, or in one of the ways that clients report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from deploy.local.instagram import views
from deploy.local.instagram.http import Json
from deploy.local.instagram.odd_fields import odd_row
from deploy.local.instagram.users import synthetic_followers

#: Rows of a limited list (instagrapi issue 881).
_LIMITED_ROWS: Final = 50


@dataclass(frozen=True)
class Page:
    """A page that was asked for.

    Parameters:
        start: the index of its first row, from the cursor.
        count: the most rows it may have.
        size: how many users the profile says are in the list.
    """

    start: int
    count: int
    size: int

    @property
    def stop(self) -> int:
        return min(self.start + self.count, self.size)


_Listing: TypeAlias = Callable[[Page], Json]


def _body(start: int, stop: int, page: Page, cursor: int | None) -> Json:
    body: Json = {
        "users": [views.user_short(user) for user in synthetic_followers(start, stop)],
        "big_list": page.size > page.count,
        "page_size": page.count,
    }
    return body if cursor is None else {**body, "next_max_id": str(cursor)}


def _complete(page: Page) -> Json:
    return _body(page.start, page.stop, page, page.stop if page.stop < page.size else None)


def _limited(page: Page) -> Json:
    """Only some of the rows, and the flag instead of a cursor."""
    stop = min(page.size, _LIMITED_ROWS, page.count)
    return {**_body(0, stop, page, None), "should_limit_list_of_followers": True}


def _without_cursor(page: Page) -> Json:
    """The first page only, as if it were the last (instagram4j issue 375)."""
    return _body(page.start, page.stop, page, None)


def _repeated(page: Page) -> Json:
    """The first page again and again, with the same cursor."""
    return _body(0, min(page.count, page.size), page, page.count)


def _circling(page: Page) -> Json:
    """After the last page the first one, without end."""
    return _body(page.start, page.stop, page, page.stop if page.stop < page.size else 0)


def _empty_page(page: Page) -> Json:
    """Every second page has no rows, but a cursor."""
    if (page.start // max(page.count, 1)) % 2 == 0:
        return _complete(page)
    return _body(0, 0, page, page.stop if page.stop < page.size else None)


def _hidden(page: Page) -> Json:
    """No rows at all, as for an account that Instagram limits."""
    return _body(0, 0, page, None)


def _odd_rows(page: Page) -> Json:
    body = _complete(page)
    return {**body, "users": [odd_row(row, index) for index, row in enumerate(body["users"])]}


LISTINGS: Final[Mapping[str, _Listing]] = {
    "complete": _complete,
    "limited": _limited,
    "without_cursor": _without_cursor,
    "repeated": _repeated,
    "circling": _circling,
    "empty_pages": _empty_page,
    "hidden": _hidden,
    "odd_rows": _odd_rows,
}


def listed(style: str, page: Page) -> Json:
    """The body of a page in one of the styles of `LISTINGS`."""
    return LISTINGS[style](page)
