"""Addresses of pages on instagram.com, for people to open. Pure."""

from __future__ import annotations

from typing import Final

from service.instagram.ids import media_shortcode

_SITE: Final = "https://www.instagram.com"


def profile_url(username: str) -> str:
    """The page of a user.

    Parameters:
      username: Without `@`.
    """
    return f"{_SITE}/{username}/"


def post_url(post: str) -> str:
    """The page of a post.

    Parameters:
      post: A shortcode, media pk or media id, as `normalise_post` returns it.
    """
    return f"{_SITE}/p/{media_shortcode(post)}/"


def thread_url(thread_id: str) -> str:
    """The page of a conversation, which its account must be logged in to see.

    Parameters:
      thread_id: In digits.
    """
    return f"{_SITE}/direct/t/{thread_id}/"
