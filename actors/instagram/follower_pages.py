"""Reads one page of a user's followers, or of the accounts the user follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiograpi.exceptions import ClientNotFoundError, UserNotFound

from actors.instagram.client import InstagramClient
from actors.instagram.pks import find_user_pk
from actors.instagram.reply_fields import Reply, cursor, flag, mapping, objects
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
      dropped: How many entries of the page are no users, or have no pk.
      limited: Whether Instagram says that it shows only a part of the list.
    """

    rows: list[dict[str, Any]]
    cursor: str
    dropped: int = 0
    limited: bool = False


async def read_page(client: InstagramClient, pk: str, kind: str, start: str) -> FollowersPage:
    """Read exactly one page; the client library's own method reads on until the end.

    Parameters:
      client: A logged-in client.
      pk: The user's pk.
      kind: `followers` or `following`.
      start: The cursor of the previous page; '' for the first.

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
        **({"max_id": start} if start else {}),
    }
    try:
        page = await client.private_request(f"friendships/{pk}/{kind}/", params=params)
    except ClientNotFoundError as error:
        raise UserNotFound(error, user_id=pk) from error
    return _parse(mapping(page))


def _parse(page: Reply) -> FollowersPage:
    entries = page.get("users")
    if not isinstance(entries, list):
        raise LookupError("a page without users")
    if len(entries) > MAX_ROWS:
        raise LookupError(f"a page of {len(entries)} users")
    users = [user for user in objects(entries) if find_user_pk(user)]
    following = cursor(page.get("next_max_id"))
    # `has_more` is often wrongly false and `big_list` wrongly true (LevPasha/Instagram-API-python
    # issue 48); that there is more but no cursor for it is said by nothing else.
    cut_off = not following and flag(page.get("has_more"))
    return FollowersPage(
        [row_view(user) for user in users],
        following,
        len(entries) - len(users),
        cut_off or flag(page.get("should_limit_list_of_followers")),
    )
