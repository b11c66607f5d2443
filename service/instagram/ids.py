"""Normalises usernames, user ids and post ids: as typed by customers, or pasted as links.

People type `@Some.Handle`, paste profile links, and copy invisible characters. Ambiguous input is
rejected: a message to the wrong person cannot be taken back. No error repeats the input, because it
is personal data.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_RAW_LENGTH: Final = 2_000

_HOSTS: Final = frozenset({"instagram.com", "www.instagram.com", "m.instagram.com"})
_POST_FOLDERS: Final = frozenset({"p", "reel", "reels", "tv"})
_PROFILE_TABS: Final = frozenset({"reels", "tagged", "followers", "following", "channel", "feed"})
_RESERVED: Final = _POST_FOLDERS | {
    *("about", "accounts", "ads", "api", "archive", "challenge", "create", "developer", "direct"),
    *("directory", "emails", "explore", "graphql", "legal", "locations", "login", "oauth"),
    *("press", "privacy", "session", "share", "sharer", "static", "stories", "terms", "topics"),
    *("s", "web", "your_activity"),
}
# What programs write for an absent value, and customers for "I have none".
_PLACEHOLDERS: Final = frozenset({"none", "null", "undefined", "nan"})

_SCHEME: Final = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_AFTER_HOST: Final = re.compile(r"[/?#]")
_USERNAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[a-z0-9._]{1,30}(?<!\.)")
_USER_PK: Final = re.compile(r"[1-9][0-9]{0,19}")
_MEDIA_ID: Final = re.compile(r"[1-9][0-9]{0,24}(?:_[1-9][0-9]{0,19})?")
_ALL_DIGITS: Final = re.compile(r"[0-9]+(?:_[0-9]+)?")
_SHORTCODE: Final = re.compile(r"[A-Za-z0-9_-]{5,64}")

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PUBLIC_SHORTCODE_LENGTH: Final = 11

_INVISIBLE: Final = (
    0x00AD,
    0x180E,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFE0E,
    0xFE0F,
    0xFEFF,
)
# Full-width forms are ordinary ASCII from an East Asian keyboard. Other look-alikes are left alone,
# and so rejected: a guess could name somebody else. No key is ASCII.
_CLEANUP: Final[dict[int, int | None]] = {
    **dict.fromkeys(_INVISIBLE),
    **{0xFF01 + offset: 0x21 + offset for offset in range(0x5E)},
    0xFE6B: ord("@"),
}


class InvalidIdentifier(ValueError):
    """The text identifies no recipient or post; the message says why, without the text."""


def normalise_recipient(raw: str, *, bare_numbers: bool = True) -> str:
    """Return the recipient that a text identifies.

    Parameters:
      raw: A username with or without `@`, a profile link, or a user pk (`pk:314159`).
      bare_numbers: Whether a number on its own is a pk. From a customer it may as well be a phone
        number, which taken for a pk would be a stranger's.

    Returns:
      `some.handle`, `314159` for a user pk, or `@123` for a username of digits only: a number
      after `@` or in a link is a username.

    Raises:
      InvalidIdentifier: The text has no recipient, or is ambiguous.
    """
    text = _clean(raw)
    if _is_link(text):
        return _username(_profile_segment(_segments(text)))
    if text[:3].casefold() == "pk:":
        return _require_match(
            _USER_PK, text[3:].strip(), "is not a user id: pk: must be followed by digits"
        )
    if text.isascii() and text.isdigit():
        if not bare_numbers:
            raise InvalidIdentifier(
                "a number on its own may be a phone number: write pk:{{ ... }} in the rule if it is"
                " a user id, or @ before a username of digits"
            )
        return _require_match(_USER_PK, text, "is not a user id: it is too long or starts with 0")
    if "@" in text[1:]:
        raise InvalidIdentifier("looks like an e-mail address, not an Instagram username")
    return _username(text.removeprefix("@").strip().rstrip("/"))


def normalise_post(raw: str) -> str:
    """Return the post that a text identifies.

    Parameters:
      raw: A link to a post or reel, a shortcode, a media pk or a media id.

    Returns:
      A shortcode (`CxyZ_-1`), or a media pk or id in digits (`123`, `123_456`). Text of digits
      only is always a pk or an id; a link's shortcode of digits only is decoded to its pk.

    Raises:
      InvalidIdentifier: The text identifies no post.
    """
    text = _clean(raw)
    if _is_link(text):
        code = _require_match(_SHORTCODE, _post_segment(_segments(text)), "is not a link to a post")
        return media_pk(code, is_code=True) if _ALL_DIGITS.fullmatch(code) else code
    if _ALL_DIGITS.fullmatch(text):
        return _require_match(_MEDIA_ID, text, "is not a media id: it is too long or starts with 0")
    return _require_match(_SHORTCODE, text, "is not a post link, a shortcode or a media id")


def _clean(raw: str) -> str:
    if len(raw) > MAX_RAW_LENGTH:
        raise InvalidIdentifier(f"is longer than {MAX_RAW_LENGTH} characters")
    text = (raw if raw.isascii() else raw.translate(_CLEANUP)).strip()
    if not text:
        raise InvalidIdentifier("is empty")
    return text


def _require_match(pattern: re.Pattern[str], text: str, message: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidIdentifier(message)
    return text


def _username(text: str) -> str:
    name = text.lower()
    if name in _PLACEHOLDERS or name in _HOSTS:
        raise InvalidIdentifier(
            "is a placeholder, not a username: use the user id for an account of this name"
        )
    _require_match(
        _USERNAME,
        name,
        "is not an Instagram username: those have 1 to 30 of a-z, 0-9, '.' and '_', "
        "no dot at either end and no two dots in a row",
    )
    return f"@{name}" if name.isdigit() else name


def _is_link(text: str) -> bool:
    host = _AFTER_HOST.split(text, maxsplit=1)[0].lower()
    return bool(_SCHEME.match(text)) or host in _HOSTS


def _segments(link: str) -> list[str]:
    absolute = link if _SCHEME.match(link) else f"//{link}"
    try:
        parts = urlsplit(absolute)
    except ValueError as error:
        raise InvalidIdentifier("is not a valid link") from error
    # Compare the whole authority: no user info, no port, no look-alike host.
    if parts.netloc.lower() not in _HOSTS:
        raise InvalidIdentifier("is not a link to instagram.com")
    return [segment for segment in unquote(parts.path).split("/") if segment]


def _profile_segment(segments: list[str]) -> str:
    if segments[:1] == ["_u"]:  # the form that opens the app
        segments = segments[1:]
    if not segments:
        raise InvalidIdentifier("is a link without a username")
    name, *tabs = segments
    if name.lower() in _RESERVED or (tabs and tabs[0].lower() in _POST_FOLDERS - {"reels"}):
        raise InvalidIdentifier("is a link to a post or page, not to a profile")
    if len(tabs) > 1 or (tabs and tabs[0].lower() not in _PROFILE_TABS):
        raise InvalidIdentifier(
            "is a link to a page below a profile: use the link to the profile itself"
        )
    return name.strip().removeprefix("@")


def _post_segment(segments: list[str]) -> str:
    if len(segments) == 3 and segments[0].lower() not in _RESERVED:
        segments = segments[1:]
    if segments[:1] == ["share"]:
        raise InvalidIdentifier(
            "is a share link, which hides the post: open it and copy the link it leads to"
        )
    if len(segments) != 2 or segments[0].lower() not in _POST_FOLDERS:
        raise InvalidIdentifier("is not a link to a post")
    return segments[1]


def media_pk(post: str, *, is_code: bool = False) -> str:
    """Compute a post's media pk without asking Instagram.

    A shortcode is the pk in base 64; private posts append a key (aiograpi's InstagramIdCodec).

    Parameters:
      post: A shortcode, media pk or media id, as `normalise_post` returns it.
      is_code: Treat digits as a shortcode as well.

    Returns:
      The pk in digits.

    Raises:
      InvalidIdentifier: `post` has none of these forms.
    """
    if not is_code and _MEDIA_ID.fullmatch(post):
        return post.partition("_")[0]
    _require_match(_SHORTCODE, post, "not a shortcode or a media id")
    pk = 0
    for character in post[:_PUBLIC_SHORTCODE_LENGTH]:
        pk = pk * 64 + _ALPHABET.index(character)
    return str(pk)


def recipient_pk(recipient: str) -> str | None:
    """Return the pk of a recipient in normal form, or None when it is a username.

    Parameters:
      recipient: A username, `@digits` for a username of digits, or a pk in digits, as
        `normalise_recipient` returns it.
    """
    return recipient if _USER_PK.fullmatch(recipient) else None


def recipient_username(recipient: str) -> str:
    """Return the username of a recipient, without `@`.

    Parameters:
      recipient: A username with or without `@`.

    Raises:
      InvalidIdentifier: It is not a valid Instagram username.
    """
    return _username(recipient.removeprefix("@")).removeprefix("@")
