"""Who a DM goes to and what a comment is on, from the forms a job carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiograpi.utils.ids import InstagramIdCodec

_PK: Final = re.compile(r"[0-9]{1,20}")
_MEDIA_ID: Final = re.compile(r"([0-9]{1,20})(?:_[0-9]{1,20})?")
_SHORTCODE: Final = re.compile(r"[A-Za-z0-9_-]{5,64}")
_USERNAME: Final = re.compile(r"[a-z0-9._]{1,30}")

# Shortcodes of private posts go on after the id with a secret of their own.
_CODE_LENGTH: Final = 11


class InvalidInstagramId(ValueError):
    """A recipient or post of which no request can be made; nothing was sent."""


@dataclass(frozen=True)
class RecipientId:
    """A user, found.

    Parameters:
      pk: The user's id, in digits.
      username: None when the job named the pk, which needs no call.
    """

    pk: str
    username: str | None


def user_pk(to: str) -> str | None:
    """Read a recipient that is a pk already.

    Parameters:
      to: A username, `@digits` for a username made of digits, or a pk in digits.

    Returns:
      The pk, or None when `to` is a username.
    """
    return to if _PK.fullmatch(to) else None


def username_of(to: str) -> str:
    """Read a recipient that is a username.

    Parameters:
      to: A username, with or without its `@`.

    Raises:
      InvalidTarget: When Instagram has no usernames of this form.
    """
    name = to.removeprefix("@").casefold()
    if not _USERNAME.fullmatch(name):
        raise InvalidInstagramId("to: neither a username nor a pk")
    return name


def media_pk(post: str) -> str:
    """Find a post's pk without asking Instagram.

    Parameters:
      post: A shortcode (`CxyZ_-1`), a media pk (`123`) or a media id (`123_456`).

    Returns:
      The pk, in digits.

    Raises:
      InvalidTarget: When it is none of these.
    """
    if found := _MEDIA_ID.fullmatch(post):
        return found[1]
    if not _SHORTCODE.fullmatch(post):
        raise InvalidInstagramId("post: neither a shortcode nor a media id")
    return str(InstagramIdCodec.decode(post[:_CODE_LENGTH]))
