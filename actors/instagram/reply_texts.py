"""The texts of a reply that say why a request failed, and the part of them that may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
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
#: Bounds of what is searched, which takes about 6 ms per 1,000 characters of the event loop's time.
_MAX_NODES: Final = 2_000
_MAX_TEXTS: Final = 50
_MAX_CHARACTERS: Final = 1_000
_MAX_CHARACTERS_IN_ALL: Final = 3_000
#: Characters of Instagram's words in an error message of ours.
_MAX_SHOWN: Final = 120

_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
#: In a username without `@`. A sentence that follows another without a space is no name.
_DOTTED: Final = re.compile(r"[A-Za-z_]\.[a-z0-9_]|\w\.[a-z_]")
#: In a link, or in the name of a host or file: nobody is called that.
_PLACE: Final = re.compile(r"://|/|\.(?:com|net|org|io|app|json|php)\b")
#: In what may be a name or a number.
_NAME: Final = re.compile(r"\w\.\w|[\d_]")
#: Words for programs, which stand alone: `feedback_required`.
_MACHINE_WORDS: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")
_QUOTED: Final = re.compile(r"\"[^\"]*\"|\u00ab[^\u00bb]*\u00bb|(?<!\w)'[^']*'(?!\w)")
#: What stands for the words of others, in texts that are compared. The table knows both words.
_SOMETHING: Final = " something "
_SOMEONE: Final = "someone"


def folded_texts(document: Mapping[str, Any], sent: Sequence[str] = ()) -> list[str]:
    """The texts in which a reply explains itself, as `fold` writes them.

    What others have written has any words and is left out: quotations, links, mentions, names with
    dots, and what the request itself said.

    Parameters:
      document: The reply's JSON.
      sent: The texts and names in the request.
    """
    return [fold(_own_words(text, sent)) for text in _texts(document)]


def fold(text: str) -> str:
    """Write a text as the table of words has it: no capitals, underscores or typographic quotes."""
    plain = text.translate(_QUOTES).replace("_", " ")
    return " ".join(plain.casefold().split())


def shown_words(document: Mapping[str, Any]) -> str:
    """What Instagram said, without anything that may identify a person.

    Quotations, links, addresses, mentions, names and numbers become `...`; at most 120 characters.
    """
    texts = (_without_private_parts(text) for text in _texts(document))
    said = " / ".join(dict.fromkeys(text for text in texts if any(map(str.isalpha, text))))
    return said if len(said) <= _MAX_SHOWN else f"{said[: _MAX_SHOWN - 3].rstrip()}..."


def _texts(document: Mapping[str, Any]) -> list[str]:
    texts: list[str] = []
    room = _MAX_CHARACTERS_IN_ALL
    nodes = islice(_explanations(document, 0), _MAX_NODES)
    for text in islice(filter(None, nodes), _MAX_TEXTS):
        texts.append(text[: min(room, _MAX_CHARACTERS)])
        room -= len(texts[-1])
    return texts


def _explanations(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the texts below a node, and '' for every other value that is passed."""
    if depth > _MAX_DEPTH:
        return
    for key, value in node.items():
        yield ""
        if key in _FIELDS:
            yield from _strings(value, depth + 1)
        elif key in _CONTAINERS and isinstance(value, Mapping):
            yield from _explanations(value, depth + 1)


def _strings(value: Any, depth: int) -> Iterator[str]:
    yield value if isinstance(value, str) else ""
    if isinstance(value, Mapping) and depth <= _MAX_DEPTH:
        yield from (text for each in value.values() for text in _strings(each, depth + 1))
    elif isinstance(value, list) and depth <= _MAX_DEPTH:
        yield from (text for each in value for text in _strings(each, depth + 1))


def _own_words(text: str, sent: Sequence[str]) -> str:
    for echo in sent:
        text = text.replace(echo, _SOMETHING) if text.strip() != echo else text
    unquoted = _QUOTED.sub(_SOMETHING, text.translate(_QUOTES))
    words = text.split() if unquoted == _SOMETHING else unquoted.split()
    if len(words) < 2:  # a word for programs, not a name in a sentence
        return text
    return " ".join(map(_without_reference, words))


def _without_reference(word: str) -> str:
    if not (_is_reference(word) or _DOTTED.search(word)):
        return word
    return _SOMETHING.strip() if _PLACE.search(word) else _SOMEONE


def _without_private_parts(text: str) -> str:
    if _MACHINE_WORDS.fullmatch(text):
        return text
    printable = "".join(each if each.isprintable() else " " for each in text)
    words = _QUOTED.sub("...", printable.translate(_QUOTES)).split()
    return " ".join("..." if _is_private(word) else word for word in words)


def _is_private(word: str) -> bool:
    return _is_reference(word) or _NAME.search(word) is not None


def _is_reference(word: str) -> bool:
    """Whether a word is a link, an address or a mention."""
    return "@" in word or "://" in word or 0 <= word.find(".") < word.rfind("/")
