"""Removes or escapes what a reader cannot see: control, bidirectional and other characters.

They let a text read otherwise than it is stored: reversed by U+202E, split by U+200B, or with words
hidden in tag characters (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
"""

from __future__ import annotations

import re
from typing import Final

# Default_Ignorable_Code_Point of Unicode 16's DerivedCoreProperties.txt, the controls but for line
# feeds, interlinear annotations, the object replacement character, the blank Braille pattern,
# noncharacters of the first plane, and scripts' own format controls.
_INVISIBLE: Final = (
    r"\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffc\ufffe\uffff"
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_EMOJI: Final = (
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe"
    r"\u2600-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f3fa"
    r"\U0001f400-\U0001faff]"
)
# As in https://www.unicode.org/reports/tr51/#emoji_sequences, with the three flags of tag
# characters that are recommended for interchange: England, Scotland and Wales.
_ELEMENT: Final = rf"{_EMOJI}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])?"
_SEQUENCES: Final = (
    r"\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063"
    r"\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
    rf"|{_ELEMENT}(?:\u200d{_ELEMENT})*|[0-9#*]\ufe0f\u20e3"
)
_UNWANTED: Final = re.compile(rf"({_SEQUENCES})|(\r\n?|[\x0b\x0c\x85\u2028\u2029])|[{_INVISIBLE}]")
_TAB: Final = "\t"
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]")
_IS_INVISIBLE: Final = re.compile(rf"[{_INVISIBLE}]")


def strip_invisible(text: str) -> str:
    """Return a text without invisible characters.

    Line breaks of every kind become a line feed, and a tab becomes a space. Joiners, variation
    selectors and tags stay only within an emoji that needs them.
    """
    if text.isascii() and text.isprintable():  # the common case
        return text
    return _UNWANTED.sub(_kept, text.replace(_TAB, " "))


def escape_invisible(text: str) -> str:
    """Return a text with invisible characters and line breaks as JSON escapes them.

    Besides those that `strip_invisible` removes, these are all that Python would not print: line
    feeds, lone surrogates, private and unassigned characters, and unusual spaces.
    """
    if text.isascii() and text.isprintable():  # the common case
        return text
    return _NOT_PLAIN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() and not _IS_INVISIBLE.match(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _kept(match: re.Match[str]) -> str:
    if match[2] is not None:
        return "\n"
    return match[1] or ""
