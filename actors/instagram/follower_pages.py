"""Reads one page of a user's followers, or of the accounts the user follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiograpi.exceptions import ClientNotFoundError, UserNotFound

from actors.instagram.client import InstagramClient
from actors.instagram.serializers import row_view

#: The largest page Instagram returns (the client library's figure).
REQUESTED_ROWS: Final = 200
#: A reply with more users than this is rejected as malformed.
MAX_ROWS: Final = 10_000


@dataclass(frozen=True)
class FollowersPage:
    """One page of users.

    Parameters:
      rows: One `serializers.row_view` per user.
      cursor: Start of the next page; '' on the last page.
    """

    rows: list[dict[str, Any]]
    cursor: str


async def read_page(client: InstagramClient, pk: str, kind: str, cursor: str) -> FollowersPage:
    """Read exactly one page; the client library's own method reads on until the end.

    Parameters:
      client: A logged-in client.
      pk: The user's pk.
      kind: `followers` or `following`.
      cursor: From the previous page; '' for the first.

    Raises:
      UserNotFound: The user does not exist or is not visible to this account.
      LookupError: The reply is not a page of users.
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
        page = await client.private_request(f"friendships/{pk}/{kind}/", params=params)
    except ClientNotFoundError as error:
        raise UserNotFound(error, user_id=pk) from error
    if len(page["users"]) > MAX_ROWS:
        raise LookupError(f"a page of {len(page['users'])} users")
    return FollowersPage(
        [row_view(user) for user in page["users"]], str(page.get("next_max_id") or "")
    )
