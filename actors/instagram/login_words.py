"""The words of a refused login: where a reply has them, and which part may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from actors.instagram.reply import Reply
from actors.instagram.reply_texts import shown_words

#: The longest text that is searched: a Bloks screen can have megabytes.
MAX_SEARCHED: Final = 100_000
_QUOTES: Final = str.maketrans("\u2018\u2019\u02bc\u201c\u201d", "'''\"\"")
# Bloks programs are strings in strings: what is escaped once or more becomes what it stands for. A
# run of backslashes is tried from its beginning only, or a long one would take minutes.
_ESCAPED_QUOTE: Final = re.compile(r"(?<!\\)\\+u(?:2018|2019|0027)")
_ESCAPED_SPACE: Final = re.compile(r"(?<!\\)\\+(?:[nrt]|u00a0)")
_BLOKS_SENTENCE: Final = re.compile(r'"([A-Z][^"\\(){}<>]{10,200}[.!?])\\*"')


def searchable(reply: Reply, username: str) -> str:
    """Return all text of a reply as one line: lower case, plain quotes, single spaces.

    Values are separated by ` | `. Names of fields that are set count as values (`two_factor_info`,
    `spam`), and so does where the reply redirects to.

    Parameters:
      username: The account's username, which may contain any word and is left out.
    """
    parts = [*_strings(reply.document or {}), reply.headers.get("location", "")]
    text = _fold(" | ".join(["", *parts, ""])[:MAX_SEARCHED]).lower()
    return _without_name(text, username)


def shown(reply: Reply, username: str) -> str:
    """Return what Instagram said, without names, links and numbers; '' if it said nothing.

    Parameters:
      username: The account's username, which is left out as well.
    """
    document = reply.document or {}
    said = shown_words(document) or shown_words({"message": _bloks_sentence(document)})
    return _without_name(said, username)


def _bloks_sentence(document: Mapping[str, Any]) -> str:
    """The first sentence in a Bloks program, which is a string full of strings."""
    text = "\n".join(_strings(document.get("layout")))[:MAX_SEARCHED]
    found = _BLOKS_SENTENCE.search(_ESCAPED_QUOTE.sub("'", text))
    return found[1] if found else ""


def _without_name(text: str, username: str) -> str:
    name = rf"(?<![\w.]){re.escape(username)}(?![\w])"
    return re.sub(name, "...", text, flags=re.IGNORECASE) if username else text


def _fold(text: str) -> str:
    plain = _ESCAPED_SPACE.sub(" ", _ESCAPED_QUOTE.sub("'", text)).translate(_QUOTES)
    return " ".join(plain.split())


def _strings(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value, and the name of every field that is set."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            yield from (str(name) for name, held in each.items() if held)
            pending += each.values()
        elif isinstance(each, list):
            pending += each
