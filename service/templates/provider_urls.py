"""Which URLs in an event its provider made, as opposed to those that people typed.

Judged by the names of the keys that lead to a value, since providers sign their events but not each
field: Stripe's `receipt_url` and `hosted_invoice_url`, GitHub's `html_url`, Shopify's
`order_status_url`, Paddle's `management_urls`, Slack's `permalink`. A name that is not known to be
the provider's counts as typed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_URL: Final = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:[/?#][!-~]*)?", re.IGNORECASE
)
#: The words of a key: `receiptUrl`, `receipt_url` and `receipt-url` have the same.
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_URL_WORDS: Final = frozenset({"url", "urls", "uri", "href", "permalink", "pdf"})
#: A URL that a person gives: their website, a page they came from, a status they link to.
_TYPED_WORDS: Final = frozenset(
    {
        *("website", "site", "homepage", "home", "blog", "portfolio", "social", "profile"),
        *("linkedin", "facebook", "twitter", "instagram", "tiktok", "youtube", "brand", "company"),
        *("referrer", "referring", "referer", "landing", "target", "environment", "log", "details"),
        *("custom", "user", "input", "personal", "support", "answer", "typed"),
    }
)
#: Everything below a key with one of these was typed, by customers or into the shop's own forms.
_TYPED_PARENTS: Final = frozenset(
    {
        *("metadata", "meta", "custom", "field", "fields", "properties", "note", "notes", "answer"),
        *("answers", "responses", "form", "passthrough", "inputs", "variables", "tags"),
    }
)
#: Below a person, a plain `url` is that person's.
_PEOPLE: Final = frozenset(
    {
        *("customer", "user", "person", "contact", "buyer", "lead", "member", "subscriber"),
        *("profile", "company", "owner", "author", "billing", "shipping"),
    }
)


class _Key(NamedTuple):
    """What the name of a key says about its value."""

    is_made: bool
    is_typed: bool
    is_person: bool


def provider_urls(event: Any) -> Iterator[str]:
    """Yield the values of an event that are as a whole a URL which the provider made.

    Parameters:
      event: The whole body, as parsed from JSON.
    """
    if not isinstance(event, dict | list):
        return
    pending: list[tuple[Any, str, bool, bool]] = [(event, "", False, False)]
    while pending:
        value, key, made, personal = pending.pop()
        children = value.items() if isinstance(value, dict) else ((key, each) for each in value)
        for name, child in children:
            if isinstance(child, str):
                if child[:4].lower() == "http" and (made or _key(name).is_made):
                    yield from _whole_url(name, child, personal)
            elif isinstance(child, dict | list) and not _key(name).is_typed:
                known = _key(name)
                pending.append((child, name, made or known.is_made, personal or known.is_person))


def _whole_url(name: str, value: str, personal: bool) -> Iterator[str]:
    is_own = personal and name.lower() == "url"
    if not is_own and not _key(name).is_typed and _URL.fullmatch(value):
        yield value


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> _Key:
    words = [word.lower() for word in _WORDS.findall(name[:100])]
    ends = {*words[:1], *words[-1:]}
    return _Key(
        is_made=not ends.isdisjoint(_URL_WORDS) and _TYPED_WORDS.isdisjoint(words),
        is_typed=not _TYPED_PARENTS.isdisjoint(words) or "attributes" in words[1:],
        is_person=not _PEOPLE.isdisjoint(words),
    )
