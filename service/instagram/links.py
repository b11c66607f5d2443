"""Reads profiles and posts from links to Instagram, and profiles from links to Threads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from service.instagram.errors import InvalidIdentifier

#: `instagr.am` is Instagram's own short domain.
_INSTAGRAM: Final = frozenset(
    {"instagram.com", "www.instagram.com", "m.instagram.com", "instagr.am", "www.instagr.am"}
)
#: Opens a conversation: https://developers.facebook.com/docs/instagram-platform (ig.me links).
_MESSAGE_HOSTS: Final = frozenset({"ig.me", "www.ig.me"})
#: A profile has the same username on both.
_THREADS: Final = frozenset({"threads.net", "www.threads.net", "threads.com", "www.threads.com"})
HOSTS: Final = _INSTAGRAM | _MESSAGE_HOSTS | _THREADS

_POST_FOLDERS: Final = frozenset({"p", "reel", "reels", "tv"})
_PROFILE_TABS: Final = frozenset(
    {"reels", "tagged", "followers", "following", "channel", "feed", "guides", "live"}
)
#: Pages of instagram.com, which no username can be.
RESERVED: Final = _POST_FOLDERS | {
    *("about", "accounts", "ads", "api", "archive", "challenge", "create", "developer", "direct"),
    *("directory", "emails", "explore", "graphql", "invites", "legal", "locations", "login"),
    *("oauth", "popular", "press", "privacy", "session", "share", "sharer", "static", "stories"),
    *("terms", "topics", "s", "web", "your_activity"),
}
#: Below `stories/`, what is no username.
_NO_STORIES: Final = frozenset({"highlights"})

_SCHEME: Final = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_AFTER_HOST: Final = re.compile(r"[/?#]")
#: Opens a profile in the app: https://developers.facebook.com/docs/instagram (custom URL scheme).
_APP_PROFILE: Final = "instagram://user?"


class _Link(NamedTuple):
    host: str
    segments: Sequence[str]


def is_link(text: str) -> bool:
    """Whether a text is a link: with a scheme, or with one of the hosts that are understood."""
    host = _AFTER_HOST.split(text, maxsplit=1)[0].lower()
    return (
        bool(_SCHEME.match(text))
        or host in HOSTS
        or text[: len(_APP_PROFILE)].lower() == _APP_PROFILE
    )


def username_in_link(link: str) -> str:
    """Return the username of a link to a profile, its stories or a conversation with it.

    Parameters:
      link: A text for which `is_link` is true.

    Raises:
      InvalidIdentifier: The link leads elsewhere.
    """
    if link[: len(_APP_PROFILE)].lower() == _APP_PROFILE:
        return parse_qs(link[len(_APP_PROFILE) :]).get("username", [""])[0]
    host, segments = _parse(link)
    if host in _MESSAGE_HOSTS:
        return _after(segments, "m")
    if host in _THREADS:
        return _threads_username(segments)
    return _instagram_username(segments)


def shortcode_in_link(link: str) -> str:
    """Return the shortcode of a link to a post or reel.

    Parameters:
      link: A text for which `is_link` is true.

    Raises:
      InvalidIdentifier: The link leads elsewhere.
    """
    host, segments = _parse(link)
    if host not in _INSTAGRAM:
        raise InvalidIdentifier("is not a link to instagram.com")
    if len(segments) == 3 and segments[0].lower() not in RESERVED:
        segments = segments[1:]
    if segments[:1] == ["share"]:
        raise InvalidIdentifier(
            "is a share link, which hides the post: open it and copy the link it leads to"
        )
    if len(segments) != 2 or segments[0].lower() not in _POST_FOLDERS:
        raise InvalidIdentifier("is not a link to a post")
    return segments[1]


def _parse(link: str) -> _Link:
    absolute = link if _SCHEME.match(link) else f"//{link}"
    try:
        parts = urlsplit(absolute)
    except ValueError as error:
        raise InvalidIdentifier("is not a valid link") from error
    # Compare the whole authority: no user info, no port, no look-alike host.
    host = parts.netloc.lower()
    if host not in HOSTS:
        raise InvalidIdentifier("is not a link to instagram.com: use the link to the profile")
    return _Link(host, [segment for segment in unquote(parts.path).split("/") if segment])


def _after(segments: Sequence[str], folder: str) -> str:
    if len(segments) != 2 or segments[0].lower() != folder:
        raise InvalidIdentifier("is a link without a username: use the link to the profile")
    return segments[1]


def _threads_username(segments: Sequence[str]) -> str:
    if len(segments) != 1 or not segments[0].startswith("@"):
        raise InvalidIdentifier("is a link to a post or page, not to a profile")
    return segments[0].removeprefix("@")


def _instagram_username(segments: Sequence[str]) -> str:
    if segments[:1] == ["_u"]:  # the form that opens the app
        segments = segments[1:]
    if not segments:
        raise InvalidIdentifier("is a link without a username")
    if segments[0].lower() == "stories" and 2 <= len(segments) <= 3:
        return _story_username(segments[1])
    name, *tabs = segments
    if name.lower() in RESERVED or (tabs and tabs[0].lower() in _POST_FOLDERS - {"reels"}):
        raise InvalidIdentifier("is a link to a post or page, not to a profile")
    if len(tabs) > 1 or (tabs and tabs[0].lower() not in _PROFILE_TABS):
        raise InvalidIdentifier(
            "is a link to a page below a profile: use the link to the profile itself"
        )
    return name.strip().removeprefix("@")


def _story_username(name: str) -> str:
    if name.lower() in _NO_STORIES:
        raise InvalidIdentifier("is a link to a post or page, not to a profile")
    return name
