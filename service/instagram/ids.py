"""Who and what a customer means: typed handles and pasted links, brought to one normal form.

People type `@Some.Handle`, paste profile links, and copy invisible characters along. Whatever
could mean two things is refused: a message to the wrong person cannot be taken back.
No error repeats what was typed, because it is personal data.
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
# What programs write for "nothing", and customers for "I have none".
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
# Full-width forms are ordinary ASCII from an East Asian keyboard. Other look-alikes stay as they
# are, and are refused: guessing at them could name somebody else. No key is ASCII.
_CLEANING: Final[dict[int, int | None]] = {
    **dict.fromkeys(_INVISIBLE),
    **{0xFF01 + offset: 0x21 + offset for offset in range(0x5E)},
    0xFE6B: ord("@"),
}


class InvalidIdentifier(ValueError):
    """The text names no recipient or no post; the message says why, without the text."""


def normalise_recipient(raw: str, *, bare_numbers: bool = True) -> str:
    """Find the recipient in what somebody typed.

    Parameters:
      raw: A handle with or without `@`, a profile link, or a user pk (`pk:314159`).
      bare_numbers: Whether a number on its own is a pk. What customers typed may as well be a
        phone number, and a pk made of it would be a stranger's.

    Returns:
      `some.handle`, `314159` for a user pk, or `@123` for a handle of digits only: a number
      behind `@` or in a link is a handle.

    Raises:
      NotAHandle: There is none, or it is not certain who is meant.
    """
    text = _clean(raw)
    if _is_link(text):
        return _username(_profile_segment(_segments(text)))
    if text[:3].casefold() == "pk:":
        return _matching(_USER_PK, text[3:].strip(), "not a user id: digits follow pk:")
    if text.isascii() and text.isdigit():
        if not bare_numbers:
            raise InvalidIdentifier(
                "a number on its own may be a phone number: write pk:{{ ... }} in the rule where it"
                " is a user id; a handle of digits has an @ before it"
            )
        return _matching(_USER_PK, text, "not a user id: too long, or it starts with 0")
    if "@" in text[1:]:
        raise InvalidIdentifier("looks like an e-mail address, not an Instagram handle")
    return _username(text.removeprefix("@").strip().rstrip("/"))


def normalise_post(raw: str) -> str:
    """Find the post in what somebody typed or pasted.

    Parameters:
      raw: A link to a post or reel, a shortcode, a media pk or a media id.

    Returns:
      A shortcode (`CxyZ_-1`), or a media pk or id in digits (`123`, `123_456`). Text of digits
      only is always a pk or an id; a link whose shortcode happens to look like one is decoded.

    Raises:
      NotAHandle: It names no post.
    """
    text = _clean(raw)
    if _is_link(text):
        code = _matching(_SHORTCODE, _post_segment(_segments(text)), "not a link to a post")
        return media_pk(code, is_code=True) if _ALL_DIGITS.fullmatch(code) else code
    if _ALL_DIGITS.fullmatch(text):
        return _matching(_MEDIA_ID, text, "not a media id: too long, or it starts with 0")
    return _matching(_SHORTCODE, text, "not a post link, a shortcode or a media id")


def _clean(raw: str) -> str:
    if len(raw) > MAX_RAW_LENGTH:
        raise InvalidIdentifier("much too long")
    text = (raw if raw.isascii() else raw.translate(_CLEANING)).strip()
    if not text:
        raise InvalidIdentifier("empty")
    return text


def _matching(pattern: re.Pattern[str], text: str, message: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidIdentifier(message)
    return text


def _username(text: str) -> str:
    name = text.lower()
    if name in _PLACEHOLDERS or name in _HOSTS:
        raise InvalidIdentifier(
            "a placeholder, not a handle; address such an account by its user id"
        )
    _matching(
        _USERNAME,
        name,
        "not an Instagram handle: those are 1 to 30 of a-z, 0-9, '.' and '_', "
        "with no dot at either end and no two in a row",
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
        raise InvalidIdentifier("not a valid link") from error
    # The whole authority is compared: no user info, no port, no look-alike host.
    if parts.netloc.lower() not in _HOSTS:
        raise InvalidIdentifier("not a link to instagram.com")
    return [segment for segment in unquote(parts.path).split("/") if segment]


def _profile_segment(segments: list[str]) -> str:
    if segments[:1] == ["_u"]:  # the form that opens the app
        segments = segments[1:]
    if not segments:
        raise InvalidIdentifier("a link without a handle")
    name, *tabs = segments
    if name.lower() in _RESERVED or (tabs and tabs[0].lower() in _POST_FOLDERS - {"reels"}):
        raise InvalidIdentifier("a link to a post or page, not to a profile")
    if len(tabs) > 1 or (tabs and tabs[0].lower() not in _PROFILE_TABS):
        raise InvalidIdentifier("a link to something below a profile; link to the profile itself")
    return name.strip().removeprefix("@")


def _post_segment(segments: list[str]) -> str:
    if len(segments) == 3 and segments[0].lower() not in _RESERVED:
        segments = segments[1:]
    if segments[:1] == ["share"]:
        raise InvalidIdentifier(
            "a share link hides the post; open it and copy the link it leads to"
        )
    if len(segments) != 2 or segments[0].lower() not in _POST_FOLDERS:
        raise InvalidIdentifier("not a link to a post")
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
    _matching(_SHORTCODE, post, "not a shortcode or a media id")
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
