"""How long a text may be: what each kind of write counts, and how much of it Instagram takes.

Instagram publishes no limits for what its own apps send. All reports agree on a number of
characters: a longer text is refused before it is sent. Where reports speak of other units, or of
other ways to write, a text beyond them is sent, and people are warned before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["utf16_units", "utf8_bytes", "links", "hashtags", "mentions"]


@dataclass(frozen=True)
class TextLimit:
    """How much of one unit a text may have.

    Parameters:
      unit: What is counted.
      maximum: So many are allowed.
    """

    unit: Unit
    maximum: int


#: The longest text of each kind of write, in characters (Unicode code points), for the private API:
#: igdmapps/igdm PR 1131 (DMs), exileum/meta-mcp PR 251 (comments).
MAX_TEXT_CHARACTERS: Final[Mapping[str, int]] = {"dm": 1_000, "comment": 2_200}

#: What Instagram may refuse a text for that has no more characters than that.
_DOUBTFUL_LIMITS: Final[Mapping[str, Sequence[TextLimit]]] = {
    "dm": (
        # igdmapps/igdm PR 1131 again: its text field counts UTF-16.
        TextLimit("utf16_units", 1_000),
        # Meta, "Instagram API with Instagram Login: Send Messages", for the official API.
        TextLimit("utf8_bytes", 1_000),
    ),
    "comment": (
        # Buffer, "Character Limits".
        TextLimit("utf16_units", 2_200),
        # Instagram's rules for comments through its API (2014), in ping/instagram_private_api.
        TextLimit("links", 1),
        # Captions, which Instagram stores as comments: a-legotin/InstaSharper#190.
        TextLimit("hashtags", 30),
        # "failed to mention": instagram4j/instagram4j#656, ramtinak/InstagramApiSharp#541.
        TextLimit("mentions", 10),
    ),
}

_LINK: Final = re.compile(r"\bhttps?://[^\s]|\bwww\.\w", re.IGNORECASE)
_HASHTAG: Final = re.compile(r"(?<![\w#/&])#\w")
_MENTION: Final = re.compile(r"(?<![\w@/.])@\w")

_COUNTS: Final[Mapping[Unit, Callable[[str], int]]] = {
    "utf16_units": lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "utf8_bytes": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "links": lambda text: len(_LINK.findall(text)),
    "hashtags": lambda text: len(_HASHTAG.findall(text)),
    "mentions": lambda text: len(_MENTION.findall(text)),
}
_NAMES: Final[Mapping[Unit, str]] = {
    "utf16_units": "UTF-16 units (most emoji are two or more)",
    "utf8_bytes": "bytes in UTF-8",
    "links": "links",
    "hashtags": "hashtags",
    "mentions": "mentions",
}
_NOUNS: Final[Mapping[str, str]] = {"dm": "DM", "comment": "comment"}


def excess(kind: str, text: str) -> str | None:
    """Explain why a text is refused before it is sent; None if it is not.

    Parameters:
      kind: The kind of write, `dm` or `comment`.
      text: The text.

    Returns:
      What follows the field's name: the unit, the count, the limit and the remedy.
    """
    if len(text) <= MAX_TEXT_CHARACTERS[kind]:
        return None
    return f"has {len(text)} characters, and {most_characters(kind)}"


def most_characters(kind: str) -> str:
    """Say how many characters a kind of write takes, and what to do with more."""
    maximum = MAX_TEXT_CHARACTERS[kind]
    return f"a {_NOUNS[kind]} takes at most {maximum}: shorten it, or send a second job"


def cautions(kind: str, text: str) -> list[str]:
    """Name what Instagram may refuse a text for, although it is sent.

    Parameters:
      kind: The kind of write, `dm` or `comment`.
      text: The text; one that is refused before it is sent has no cautions.

    Returns:
      Sentences without the field's name: the unit, the count and the limit.
    """
    if excess(kind, text) is not None:
        return []
    counted = [(limit, _COUNTS[limit.unit](text)) for limit in _DOUBTFUL_LIMITS[kind]]
    return [
        f"has {count} {_NAMES[limit.unit]}; Instagram may refuse a {_NOUNS[kind]} with more than"
        f" {limit.maximum}"
        for limit, count in counted
        if count > limit.maximum
    ]
