"""Reading a user's followers, or those the user follows, one page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiograpi.exceptions import ClientNotFoundError, UserNotFound

from actors.instagram.client import InstagramClient
from actors.instagram.serializers import row_view

#: The most users that Instagram gives at a time (the library's own number).
REQUESTED_ROWS: Final = 200
#: More than this is no page.
MAX_ROWS: Final = 10_000


@dataclass(frozen=True)
class FollowersPage:
    """A page.

    Parameters:
      rows: As `projections.row_view` each.
      cursor: Where the next one begins; '' at the end.
    """

    rows: list[dict[str, Any]]
    cursor: str


async def read_page(client: InstagramClient, pk: str, crowd: str, cursor: str) -> FollowersPage:
    """Read one page, and no more: the library's own way reads on for as long as there is more.

    Parameters:
      client: With a login.
      pk: The user.
      crowd: `followers` or `following`.
      cursor: From the page before; '' for the first.

    Raises:
      UserNotFound: The user is gone, or does not show itself to this account.
      LookupError: The reply is no page.
    """
    params = {
        "count": REQUESTED_ROWS,
        "rank_token": client.rank_token,
        "search_surface": "follow_list_page",
        "query": "",
        "enable_groups": "true",
        **({"max_id": cursor} if cursor else {}),
    }
    try:
        page = await client.private_request(f"friendships/{pk}/{crowd}/", params=params)
    except ClientNotFoundError as error:
        raise UserNotFound(error, user_id=pk) from error
    if len(page["users"]) > MAX_ROWS:
        raise LookupError(f"a page of {len(page['users'])} users")
    return FollowersPage(
        [row_view(user) for user in page["users"]], str(page.get("next_max_id") or "")
    )
