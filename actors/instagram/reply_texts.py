"""The texts of a reply that say why a request failed, and the part of them that may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: Fields that Instagram has been seen to explain itself in (issues of aiograpi, instagrapi and
#: mgp25/Instagram-API). Any of them may be missing, null, a number, a list or another object.
_FIELDS: Final = frozenset(
    {
        *("message", "feedback_message", "feedback_title", "client_facing_error_message"),
        *("error_type", "error_title", "error_body", "error_message", "error", "errors"),
        *("content", "headline", "title", "body", "item_ack", "comment_error_key"),
        *("exception_name", "reason", "description", "detail"),
    }
)
#: Objects in which these fields are found.
_CONTAINERS: Final = frozenset({"payload", "challenge", "consent_data", "debug_info", "data"})
_MAX_DEPTH: Final = 5
_MAX_TEXTS: Final = 50
_MAX_CHARACTERS: Final = 1_000
#: Characters of Instagram's words in an error message of ours.
_MAX_SHOWN: Final = 120

_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_MENTION: Final = r"@\S+"
_URL: Final = r"\S*://\S*|www\.\S+|\S+\.\S+/\S*|\S+@\S+"
#: A username without `@` is known by its dots, digits or underscores.
_NAME: Final = r"\S*\w\.\w\S*|\S*[\d_]\S*"
#: Words for programs, which stand alone: `feedback_required`.
_MACHINE_WORDS: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")
_QUOTED: Final = r"\"[^\"]*\"|\u00ab[^\u00bb]*\u00bb"
_PRIVATE: Final = re.compile("|".join((_QUOTED, _URL, _MENTION, _NAME)))


def folded_texts(document: Mapping[str, Any]) -> list[str]:
    """The texts in which a reply explains itself, as `fold` writes them."""
    return [fold(text) for text in _texts(document)]


def fold(text: str) -> str:
    """Write a text as the table of words has it: no capitals, underscores or typographic quotes."""
    plain = text[:_MAX_CHARACTERS].translate(_QUOTES).replace("_", " ")
    return " ".join(plain.casefold().split())


def shown_words(document: Mapping[str, Any]) -> str:
    """What Instagram said, without anything that may identify a person.

    Quotations, links, addresses, mentions, names and numbers become `...`; at most 120 characters.
    """
    texts = (_without_private_parts(text) for text in _texts(document))
    said = " / ".join(dict.fromkeys(text for text in texts if any(map(str.isalpha, text))))
    return said if len(said) <= _MAX_SHOWN else f"{said[: _MAX_SHOWN - 3].rstrip()}..."


def _texts(document: Mapping[str, Any]) -> list[str]:
    return [text for text, _ in zip(_explanations(document, 0), range(_MAX_TEXTS), strict=False)]


def _explanations(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    for key, value in node.items():
        if key in _FIELDS:
            yield from _strings(value, depth + 1)
        elif key in _CONTAINERS and isinstance(value, Mapping):
            yield from _explanations(value, depth + 1)


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth <= _MAX_DEPTH:
        yield from (text for each in value.values() for text in _strings(each, depth + 1))
    elif isinstance(value, list) and depth <= _MAX_DEPTH:
        yield from (text for each in value for text in _strings(each, depth + 1))


def _without_private_parts(text: str) -> str:
    if _MACHINE_WORDS.fullmatch(text):
        return text
    printable = "".join(each if each.isprintable() else " " for each in text[:_MAX_CHARACTERS])
    return " ".join(_PRIVATE.sub("...", printable.translate(_QUOTES)).split())
