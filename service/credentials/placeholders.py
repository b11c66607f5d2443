"""Words that examples and people write where a secret belongs. Pure."""

from __future__ import annotations

import re
from typing import Final

#: They say that something else belongs here, or head every list of common passwords.
_TELLING: Final = """
    change changeme changeit replace replaceme insert put goes belongs paste fill your yours
    here placeholder todo fixme example sample dummy default none null undefined xxx password
    passw0rd passwort letmein welcome iloveyou monkey dragon hunter2 trustno1 qwerty admin root
    supersecret topsecret unsafe insecure django generate openssl
"""
#: What stands beside them.
_OTHERS: Final = """
    a an the my me this that with to in of for is it at and not very long random strong secure
    private public secret secrets key keys apikey token tokens signing webhook webhooks hook api
    app access auth bearer value string text code pass phrase user name account client server
    service prod production dev development test tests testing local demo stage staging live
    heliograph stripe github shopify slack paddle svix whsec instagram please some new old must
    be characters chars min hello world foo bar baz use run make made rand hex base digits
    bytes bits random uuid
"""
TELLING: Final = frozenset(_TELLING.split())
WORDS: Final = TELLING.union(_OTHERS.split())
LONGEST_WORD: Final = max(map(len, WORDS))

_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_NUMBERS: Final = re.compile(r"(?<![0-9])[0-9]{1,4}(?![0-9])")
_TAIL: Final = re.compile(r"[0-9]{1,6}[^a-z0-9]*$")
#: Digits and signs that stand for letters: `p@ssw0rd`, `s3cr3t`.
_LETTERS: Final = str.maketrans("@4013$57", "aaoiesst")


def is_placeholder(text: str) -> bool:
    """Whether a text consists of words, one of which says that it is no secret.

    Parameters:
      text: In lower case: `change-me`, `your_signing_secret`, `password123`, `<your secret here>`.
    """
    body = _TAIL.sub("", text)
    # Numbers between words say nothing either: `openssl rand -base64 32 | head -c 40`.
    readings = (body, body.translate(_LETTERS), _NUMBERS.sub("", body))
    bare = {_SEPARATORS.sub("", reading) for reading in readings}
    return any(_has_telling_words(each, told=False, known={}) for each in bare)


def _has_telling_words(text: str, *, told: bool, known: dict[tuple[str, bool], bool]) -> bool:
    """Whether words make up the whole text, and one of them is telling (or one before was)."""
    if not text:
        return told
    if (text, told) not in known:
        lengths = range(1, min(LONGEST_WORD, len(text)) + 1)
        known[text, told] = any(
            _has_telling_words(text[n:], told=told or text[:n] in TELLING, known=known)
            for n in lengths
            if text[:n] in WORDS
        )
    return known[text, told]
