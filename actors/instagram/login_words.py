"""The words of a refused login: where a reply has them, and which part may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from actors.instagram.reply import Reply

#: The longest text that is searched: a Bloks screen can have megabytes.
MAX_SEARCHED: Final = 100_000
#: The longest text that is shown.
MAX_SHOWN: Final = 120

#: Fields with a sentence for people, best first (instagram_private_api issue samples; see
#: `tests/instagram/login_replies.py`).
_SENTENCE_FIELDS: Final = ("message", "feedback_message", "error_body", "error_title", "error_type")

_QUOTES: Final = str.maketrans("\u2018\u2019\u02bc\u201c\u201d", "'''\"\"")
# Bloks programs are strings in strings: what is escaped once or more becomes what it stands for.
_ESCAPED_QUOTE: Final = re.compile(r"\\+u(?:2018|2019|0027)")
_ESCAPED_SPACE: Final = re.compile(r"\\+[nrt]|\\+u00a0")
_BLOKS_SENTENCE: Final = re.compile(r'"([A-Z][^"\\(){}<>]{10,200}[.!?])\\*"')
# Handles, addresses, links and masked contacts, and digits enough for a phone number or an id.
_PRIVATE: Final = re.compile(r"\S*(?:[@*]|://|www\.)\S*|\+?\d[\d ().-]{3,}\d")


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
    sentences = (document.get(name) for name in _SENTENCE_FIELDS)
    said = next((text for text in sentences if isinstance(text, str) and text.strip()), "")
    return _without_private_parts(said or _bloks_sentence(document), username)


def _bloks_sentence(document: Mapping[str, Any]) -> str:
    text = "\n".join(_strings(document.get("layout")))[:MAX_SEARCHED]
    found = _BLOKS_SENTENCE.search(_ESCAPED_QUOTE.sub("'", text))
    return found[1] if found else ""


def _without_private_parts(text: str, username: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in _fold(text))
    return " ".join(_PRIVATE.sub("...", _without_name(plain, username)).split())[:MAX_SHOWN]


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
