"""Reads one profile or post and returns Instagram's raw reply.

The client library's own methods parse the whole reply into models, which fail when any field is
missing or has another type, even one that is not used here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiograpi.exceptions import (
    ClientError,
    ClientNotFoundError,
    ClientStatusFail,
    IsRegulatedC18Error,
    MediaNotFound,
    UserNotFound,
)

from actors.instagram.write_verification import PrivateApi

Reply = Mapping[str, Any]


async def read_profile(api: PrivateApi, name: str) -> Reply:
    """Read a profile.

    Parameters:
      api: The account's client.
      name: The username, without `@`.

    Raises:
      UserNotFound: No user has this name.
      IsRegulatedC18Error: The profile is age-restricted.
    """
    try:
        reply = await api.private_request(f"users/{name}/usernameinfo/")
    except ClientStatusFail as error:
        # Instagram replies "This account is restricted by age." with status 200.
        if "restricted" in str(error):
            raise IsRegulatedC18Error(str(error)) from error
        raise
    except ClientError as error:
        if _is_missing(error, "User not found"):
            raise UserNotFound(str(error)) from error
        raise
    user: Reply | None = reply.get("user")
    if not user:
        raise UserNotFound("a reply without a user")
    return user


async def read_post(api: PrivateApi, pk: str) -> Reply:
    """Read a post.

    Parameters:
      api: The account's client.
      pk: The post's media pk.

    Raises:
      MediaNotFound: No post has this pk.
    """
    try:
        reply = await api.private_request(f"media/{pk}/info/")
    except ClientError as error:
        if _is_missing(error, "Media not found"):
            raise MediaNotFound(str(error)) from error
        raise
    items: list[Reply] = reply.get("items") or []
    if not items:
        raise MediaNotFound("a reply without a post")
    return items[0]


def _is_missing(error: ClientError, message: str) -> bool:
    return isinstance(error, ClientNotFoundError) or message in str(error)
