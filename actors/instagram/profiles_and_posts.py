"""Reads one profile or post and returns Instagram's raw reply.

The client library's own methods parse the whole reply into models, which fail when any field is
missing or has another type, even one that is not used here (instagrapi issues 71, 1443, 1705, 2286
and 2356). DMs, lookups and follower exports all read profiles here.
"""

from __future__ import annotations

import re
from typing import Final

from aiograpi.exceptions import (
    ClientError,
    ClientNotFoundError,
    IsRegulatedC18Error,
    MediaNotFound,
    UserNotFound,
)

from actors.instagram.pks import find_user_pk
from actors.instagram.reply import reply_of
from actors.instagram.reply_fields import Reply, mapping, objects, text
from actors.instagram.threads import PrivateApi

#: The fields in which Instagram explains a refusal.
_EXPLANATIONS: Final = ("message", "error_title", "error_body", "feedback_message")
#: An age restriction, as Instagram words it ("restricted by age", "You must be 18 years old or
#: over to see this profile": mgp25/Instagram-API issue 3107, instaloader issue 2566). The word
#: "restricted" alone also says that an action or the own account is.
_AGE_RESTRICTION: Final = re.compile(
    r"\brestricted by age\b|\bage[- ](?:restrict|gat)|\byears (?:old|of age)\b|\b\d\d ?\+|"
    r"\b\d\d or (?:over|older)\b",
    re.IGNORECASE,
)


async def read_profile(api: PrivateApi, name: str) -> Reply:
    """Read a profile.

    Parameters:
      api: The account's client.
      name: The username, without `@`.

    Returns:
      Instagram's user object. Its username is another one when the user was renamed.

    Raises:
      UserNotFound: No user has this name.
      IsRegulatedC18Error: The profile is age-restricted.
      LookupError: The reply is no profile.
    """
    try:
        reply = await api.private_request(f"users/{name}/usernameinfo/")
    except ClientError as error:
        if _names_age_restriction(error):
            raise IsRegulatedC18Error("age-restricted") from error
        if _is_missing(error, "User not found"):
            raise UserNotFound(str(error)) from error
        raise
    user = mapping(reply).get("user")
    if not user:
        raise UserNotFound("a reply without a user")
    if not mapping(user):
        raise LookupError("a user that is not an object")
    return _unwrapped(mapping(user))


async def read_post(api: PrivateApi, pk: str) -> Reply:
    """Read a post.

    Parameters:
      api: The account's client.
      pk: The post's media pk.

    Raises:
      MediaNotFound: No post has this pk.
      IsRegulatedC18Error: The post is age-restricted.
      LookupError: The reply is no post.
    """
    try:
        reply = await api.private_request(f"media/{pk}/info/")
    except ClientError as error:
        if _names_age_restriction(error):
            raise IsRegulatedC18Error("age-restricted") from error
        if _is_missing(error, "Media not found"):
            raise MediaNotFound(str(error)) from error
        raise
    items = mapping(reply).get("items")
    if not items:
        raise MediaNotFound("a reply without a post")
    posts = objects(items)
    if not posts:
        raise LookupError("a post that is not an object")
    return posts[0]


def _unwrapped(user: Reply) -> Reply:
    """The user itself: some replies put it into an object about the search for it.

    Seen in megadose/toutatis issue 148.
    """
    inner = mapping(user.get("user"))
    return inner if inner and find_user_pk(user) is None else user


def _is_missing(error: ClientError, message: str) -> bool:
    return isinstance(error, ClientNotFoundError) or message in str(error)


def _names_age_restriction(error: ClientError) -> bool:
    """Whether a refusal, often with status 200, is about the age of who looks."""
    reply = reply_of(error)
    document = mapping(reply.document if reply else None)
    return any(_AGE_RESTRICTION.search(text(document.get(field))) for field in _EXPLANATIONS)
