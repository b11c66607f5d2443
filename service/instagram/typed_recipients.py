"""Recipients as people type them into a form: what is no username is refused.

A message to the wrong person cannot be taken back, and `na`, `no` and `shop.com` are usernames of
somebody. So these need an `@` in front.
"""

from __future__ import annotations

import re
from typing import Final

from service.instagram.errors import InvalidIdentifier
from service.instagram.ids import normalise_recipient
from service.instagram.links import is_link
from service.instagram.no_answers import is_no_answer
from service.instagram.typed_text import clean, unwrap

_PLAIN: Final = re.compile(r"@[\w.]+")
_PHONE: Final = re.compile(r"(?:tel\W*|phone\W*)?[+(]*[0-9][0-9\s.()/+-]*", re.IGNORECASE)
# The endings of web addresses that usernames seldom have (but `anna.studio`, `let.it.be`): the
# first generic domains, those sold for shops and sites, and large countries'.
_DOMAIN: Final = re.compile(
    r"www\..*|(?:[\w-]+\.)+(?:com|net|org|info|biz|edu|gov|mil|shop|store|online|site|website|web"
    r"|app|dev|io|xyz|co|eu|de|at|ch|it|uk|fr|es|nl|pl|se|dk|fi|pt|ie|ru|ua|cz|hu|ro|gr|tr|us|ca|mx|br"
    r"|ar|cl|au|nz|jp|cn|kr|za|test|example|invalid|localhost|local)",
    re.IGNORECASE,
)


def typed_recipient(
    raw: str, *, bare_numbers: bool = True, no_answers: frozenset[str] = frozenset()
) -> str:
    """Return the recipient that a text identifies, as `normalise_recipient` does.

    Parameters:
      raw: A username with or without `@`, a profile link, or a user pk (`pk:314159`).
      bare_numbers: Whether a number on its own is a pk.
      no_answers: Further answers that name nobody, from `no_answers.fold`.

    Raises:
      InvalidIdentifier: The text has no recipient, or is ambiguous; or it is an answer such as
        `none`, a phone number or a web address without an `@` that would make it a username.
    """
    check_answer(raw, no_answers)
    return normalise_recipient(raw, bare_numbers=bare_numbers)


def check_answer(raw: str, no_answers: frozenset[str] = frozenset()) -> None:
    """Raise InvalidIdentifier for a text that is no username, though it may have the form of one.

    Parameters:
      raw: As typed. Numbers without punctuation are left to `normalise_recipient`.
      no_answers: Further answers that name nobody, from `no_answers.fold`.
    """
    text = clean(raw)
    if _PLAIN.fullmatch(text):  # the common case
        return
    inner = unwrap(text)
    readings = {text, inner}
    if inner.startswith("@") or inner.isdigit() or any(map(is_link, readings)):
        return
    if _PHONE.fullmatch(inner):
        raise InvalidIdentifier(
            "looks like a phone number: ask for the username, and write @ before one of digits"
        )
    if any(is_no_answer(reading, no_answers) for reading in readings):
        raise InvalidIdentifier(
            "is an answer such as 'none', not a username: ask the recipient, and write @ before it"
            " if it is a username"
        )
    if _DOMAIN.fullmatch(inner):
        raise InvalidIdentifier(
            "looks like a web address: ask for the username, and write @ before it if it is one"
        )
