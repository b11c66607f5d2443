"""Normalises usernames, user ids and post ids: as typed by customers, or pasted as links.

People type `@Some.Handle`, paste profile links, and copy invisible characters. Ambiguous input is
rejected: a message to the wrong person cannot be taken back. No error repeats the input, because it
is personal data.
"""

from __future__ import annotations

import re
from typing import Final

from service.instagram.errors import InvalidIdentifier
from service.instagram.links import HOSTS, RESERVED, is_link, shortcode_in_link, username_in_link
from service.instagram.typed_text import clean, unwrap

__all__ = [
    "InvalidIdentifier",
    "media_pk",
    "media_shortcode",
    "normalise_post",
    "normalise_recipient",
    "person_name",
    "recipient_pk",
    "recipient_username",
]

# What programs write for an absent value: not even with an `@` a username.
_PLACEHOLDERS: Final = frozenset({"none", "null", "undefined", "nan"})

_PLAIN: Final = re.compile(r"@?[A-Za-z0-9._]{1,30}")
_USERNAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[a-z0-9._]{1,30}(?<!\.)")
_USER_PK: Final = re.compile(r"[1-9][0-9]{0,19}")
_MEDIA_ID: Final = re.compile(r"[1-9][0-9]{0,24}(?:_[1-9][0-9]{0,19})?")
_ALL_DIGITS: Final = re.compile(r"[0-9]+(?:_[0-9]+)?")
_SHORTCODE: Final = re.compile(r"[A-Za-z0-9_-]{5,64}")
_EMAIL: Final = re.compile(r"[^\s@]@[^\s@]")
_SEPARATORS: Final = re.compile(r"[\s,;|]+")
_SEVERAL: Final = "names more than one account: ask for a single username"
_WORD: Final = re.compile(r"\w")

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PUBLIC_SHORTCODE_LENGTH: Final = 11


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
    text = clean(raw)
    if _PLAIN.fullmatch(text) and text[-1] != "." and text.lower() not in HOSTS:  # the common case
        return _number(text, bare_numbers) or _username(text.removeprefix("@"))
    if _is_user_id(text):
        return _single(text, bare_numbers)
    inner = unwrap(text)
    parts = [part for part in _SEPARATORS.split(inner.replace("@ ", "@")) if _WORD.search(part)]
    if len(parts) < 2:
        return _single(inner or text, bare_numbers)
    return _only_one(inner, parts, bare_numbers)


def normalise_named_recipient(raw: str) -> str:
    """Return the recipient that a path or an argument names, as `normalise_recipient` does.

    Raises:
      InvalidIdentifier: It names nobody, or is a bare number: a username or an id.
    """
    if raw.strip().isdigit():
        raise InvalidIdentifier(
            "is ambiguous: write @ before a username of digits, pk: before a user id"
        )
    return normalise_recipient(raw, bare_numbers=False)


def _is_user_id(text: str) -> bool:
    return text[:3].casefold() == "pk:"


def _number(text: str, bare_numbers: bool) -> str | None:
    """Return the pk that a text gives as a number, None if it does not."""
    if _is_user_id(text):
        return _require_match(
            _USER_PK, text[3:].strip(), "is not a user id: pk: must be followed by digits"
        )
    if not (text.isascii() and text.isdigit()):
        return None
    if not bare_numbers:
        raise InvalidIdentifier(
            "a number on its own may be a phone number: write pk:{{ ... }} in the rule if it is"
            " a user id, or @ before a username of digits"
        )
    return _require_match(_USER_PK, text, "is not a user id: it is too long or starts with 0")


def _single(text: str, bare_numbers: bool) -> str:
    number = _number(text, bare_numbers)
    if number is not None:
        return number
    if is_link(text):
        return _username(username_in_link(text))
    if text.count("@") > 1 and not text.startswith("@@"):
        raise InvalidIdentifier(_SEVERAL)
    if _EMAIL.search(text):
        raise InvalidIdentifier("looks like an e-mail address, not an Instagram username")
    return _username(text.removeprefix("@").strip().strip("/"))


def _only_one(text: str, parts: list[str], bare_numbers: bool) -> str:
    """Return the username that several words agree on."""
    try:
        names = {_single(unwrap(part), bare_numbers) for part in parts}
    except InvalidIdentifier:
        names = set()
    if len(names) == 1:
        return names.pop()
    if text.count("@") > 1 or not set(text).isdisjoint(",;|&+/"):
        raise InvalidIdentifier(_SEVERAL)
    if _EMAIL.search(text):
        raise InvalidIdentifier("looks like an e-mail address, not an Instagram username")
    return _username(text)


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
    text = clean(raw)
    if is_link(text):
        code = _require_match(_SHORTCODE, shortcode_in_link(text), "is not a link to a post")
        return media_pk(code, is_code=True) if _ALL_DIGITS.fullmatch(code) else code
    if _ALL_DIGITS.fullmatch(text):
        return _require_match(_MEDIA_ID, text, "is not a media id: it is too long or starts with 0")
    return _require_match(_SHORTCODE, text, "is not a post link, a shortcode or a media id")


def _require_match(pattern: re.Pattern[str], text: str, message: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidIdentifier(message)
    return text


def _username(text: str) -> str:
    name = text.lower()
    if name in _PLACEHOLDERS or name in HOSTS:
        raise InvalidIdentifier(
            "is a placeholder, not a username: use the user id for an account of this name"
        )
    if name in RESERVED:
        raise InvalidIdentifier(
            "names a page of Instagram, not an account: use the user id if an account has it"
        )
    _require_match(
        _USERNAME,
        name,
        "is not an Instagram username: those have 1 to 30 of a-z, 0-9, '.' and '_', "
        "no dot at either end and no two dots in a row",
    )
    return f"@{name}" if name.isdigit() else name


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


def media_shortcode(post: str) -> str:
    """Compute a post's shortcode, the inverse of `media_pk`.

    Parameters:
      post: A shortcode, media pk or media id, as `normalise_post` returns it.
    """
    if not _MEDIA_ID.fullmatch(post):
        return post
    pk, code = int(media_pk(post)), ""
    while pk:
        pk, digit = divmod(pk, 64)
        code = _ALPHABET[digit] + code
    return code


def recipient_pk(recipient: str) -> str | None:
    """Return the pk of a recipient in normal form, or None when it is a username.

    Parameters:
      recipient: A username, `@digits` for a username of digits, or a pk in digits, as
        `normalise_recipient` returns it.
    """
    return recipient if _USER_PK.fullmatch(recipient) else None


def person_name(recipient: str) -> str:
    """Return the one name of a person, by which suppressions and the index of people know them.

    Parameters:
      recipient: `some.handle`, `314159` (a pk) or `@123` (a username of digits), as
        `normalise_recipient` returns it.

    Returns:
      The username without `@`, or `pk:314159`.
    """
    return f"pk:{recipient}" if recipient.isdigit() else recipient.removeprefix("@")


def recipient_username(recipient: str) -> str:
    """Return the username of a recipient, without `@`.

    Parameters:
      recipient: A username with or without `@`.

    Raises:
      InvalidIdentifier: It is not a valid Instagram username.
    """
    return _username(recipient.removeprefix("@")).removeprefix("@")
