"""Takes what people put around a username off it: quotes, brackets, punctuation, labels."""

from __future__ import annotations

import re
from typing import Final

from service.instagram.errors import InvalidIdentifier
from service.unicode_text.invisible import strip_invisible

MAX_RAW_LENGTH: Final = 2_000

# Full-width forms are ordinary ASCII from an East Asian keyboard. Other look-alikes are left alone,
# and so rejected: a guess could name somebody else. No key is ASCII.
_FULL_WIDTH: Final[dict[int, int]] = {
    **{0xFF01 + offset: 0x21 + offset for offset in range(0x5E)},
    0xFE6B: ord("@"),
    0x3002: ord("."),
    0xFF61: ord("."),
}
_AROUND: Final = " \t\n\"'`´()[]{}<>*‘’‚‛“”„‟«»‹›「」『』"
_BEFORE: Final = _AROUND + ":;,•→"
_AFTER: Final = _AROUND + ".,;:!?…·"

_NETWORK: Final = r"(?:instagram|instagramm|insta|ig)"
_NOUN: Final = (
    rf"(?:{_NETWORK}|handle|user ?name|user|name|account|profile?|nick(?:name)?"
    r"|nutzername|benutzername|usuario|cuenta|perfil|compte|utente)"
)
_IS: Final = r"(?:is|ist|es|est|è)"
#: `ig: x`, `Instagram @x`, `my insta is @x`, `ig jenny_1`; but `insta anna` may be a name, and
#: `name@shop.com` is a mail address.
_LABEL: Final = re.compile(
    rf"(?:(?:my|mein|mi|mon|il mio) )?{_NOUN}(?: {_NOUN})*"
    rf"(?:(?: {_IS})?\s*[:=>|→]+(?!//)\s*| +[-\u2013\u2014]+ +|(?: {_IS})? +(?=@))"
    rf"|{_NETWORK} +(?=\S*[._0-9])",
    re.IGNORECASE,
)
#: Emoji and signs; not ASCII, where a dot or dash at an end may be a mistake.
_ORNAMENTS: Final = re.compile(r"^[^\x00-\x7f\w]+|[^\x00-\x7f\w]+$")
#: `@x on Instagram`, `x (IG)`.
_SUFFIX: Final = re.compile(
    rf"(?: (?:on|auf|sur|en|su|op)|\s*[(\[]|\s+[-\u2013\u2014|]) ?{_NETWORK}[)\]]?", re.IGNORECASE
)


def clean(raw: str) -> str:
    """Return a text without invisible characters, full-width forms and white space around it.

    Raises:
      InvalidIdentifier: It is empty or too long.
    """
    if len(raw) > MAX_RAW_LENGTH:
        raise InvalidIdentifier(f"is longer than {MAX_RAW_LENGTH} characters")
    text = strip_invisible(raw)
    if not text.isascii():
        text = text.translate(_FULL_WIDTH)
    text = text.strip()
    if not text:
        raise InvalidIdentifier("is empty")
    return text


def unwrap(text: str) -> str:
    """Return a text without quotes, brackets, punctuation and labels around it; may be empty.

    Parameters:
      text: From `clean`.
    """
    text = " ".join(text.split())
    while True:
        inner = _ORNAMENTS.sub("", text).lstrip(_BEFORE).rstrip(_AFTER)
        label, suffix = _LABEL.match(inner), _last(_SUFFIX, inner)
        inner = inner[label.end() :] if label else inner[: suffix.start()] if suffix else inner
        if inner == text:
            return text
        text = inner


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The match that ends the text."""
    return next((each for each in pattern.finditer(text) if each.end() == len(text)), None)
