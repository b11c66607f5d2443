"""How Instagram stores a text, which is not always as it was sent.

`folded` follows what clients report: single line breaks are kept, several become a space, and space
around them goes (mgp25/Instagram-API issue 1118, dilame/instagram-private-api issue 902,
liamcottle/Instagram-SDK-PHP issue 23). That Unicode is normalised is our assumption. `shortened`
adds what the app's own view does to links and mentions.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

TextStyle = Literal["exact", "folded", "shortened"]
TEXT_STYLES: Final[tuple[TextStyle, ...]] = ("exact", "folded", "shortened")

_LINK: Final = re.compile(r"https?://(?:www\.)?([^\s]+)", re.IGNORECASE)
_MENTION: Final = re.compile(r"@([A-Za-z0-9._]+)")
_LINE_BREAKS: Final = re.compile(r" *\r?\n *")
_MANY_BREAKS: Final = re.compile(r"\n{2,}")
_SPACES: Final = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]+")
#: Characters of a link that are shown, without its scheme.
_LINK_CHARACTERS: Final = 30


def stored_text(text: str, style: TextStyle) -> str:
    """The text as it is stored and shown."""
    if style == "exact":
        return text
    folded = _fold(text)
    return folded if style == "folded" else _MENTION.sub(_lower, _LINK.sub(_shorten, folded))


def _fold(text: str) -> str:
    lines = _LINE_BREAKS.sub("\n", unicodedata.normalize("NFC", text))
    return _SPACES.sub(" ", _MANY_BREAKS.sub(" ", lines)).strip()


def _shorten(link: re.Match[str]) -> str:
    address = link[1].rstrip("/")
    if len(address) <= _LINK_CHARACTERS:
        return address
    return address[:_LINK_CHARACTERS] + "…"


def _lower(mention: re.Match[str]) -> str:
    return mention[0].lower()
