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
from typing import Any, Final

_URL: Final = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:[/?#][!-~]*)?", re.IGNORECASE
)
#: The words of a key: `receiptUrl`, `receipt_url` and `receipt-url` have the same.
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_LAST_WORDS: Final = frozenset({"url", "urls", "uri", "href", "permalink", "pdf"})
#: A URL that a person gives: their website, a page they came from, a status they link to.
_TYPED_WORDS: Final = frozenset(
    {
        *("website", "site", "homepage", "home", "blog", "portfolio", "social", "profile"),
        *("linkedin", "facebook", "twitter", "instagram", "tiktok", "youtube", "brand", "company"),
        *("referrer", "referring", "referer", "landing", "target", "environment", "log", "details"),
        *("custom", "user", "input", "personal", "support", "answer", "typed"),
    }
)
#: Everything below these was typed, by customers or into the shop's own forms.
_TYPED_PARENTS: Final = frozenset(
    {
        *("metadata", "meta", "fields", "properties", "notes", "note", "answers", "responses"),
        *("form response", "passthrough", "business profile", "inputs", "variables", "tags"),
    }
)
#: Below a person, a plain `url` is that person's.
_PEOPLE: Final = frozenset(
    {
        *("customer", "customer details", "user", "person", "contact", "buyer", "lead", "member"),
        *("subscriber", "profile", "company", "owner", "author", "billing details", "shipping"),
    }
)


def provider_urls(event: Any) -> Iterator[str]:
    """Yield the values of an event that are as a whole a URL which the provider made.

    Parameters:
      event: The whole body, as parsed from JSON.
    """
    pending: list[tuple[Any, str, bool, bool]] = [(event, "", False, False)]
    while pending:
        value, key, made, personal = pending.pop()
        if isinstance(value, dict):
            personal = personal or _name(key) in _PEOPLE
            pending.extend(
                (child, name, made or _is_made(name), personal)
                for name, child in value.items()
                if not _is_typed(name)
            )
        elif isinstance(value, list):
            pending.extend((child, key, made, personal) for child in value)
        elif made and isinstance(value, str) and not (personal and key.lower() == "url"):
            yield from filter(_URL.fullmatch, [value])


@functools.lru_cache(maxsize=4096)
def _words(key: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(key[:100]))


def _name(key: str) -> str:
    return " ".join(_words(key))


def _is_made(key: str) -> bool:
    words = _words(key)
    return bool(words) and words[-1] in _LAST_WORDS and _TYPED_WORDS.isdisjoint(words)


def _is_typed(key: str) -> bool:
    words = _words(key)
    return _name(key) in _TYPED_PARENTS or words[:1] == ("custom",) or "attributes" in words[1:]
