"""Planted secrets, to be searched for where they must not appear."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import redis

from tests.support.store_dump import plain_values

#: Letters that no encoding changes, except base64 and the like.
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz"


@dataclass(frozen=True)
class Canary:
    """One secret.

    Parameters:
      name: What it is.
      value: A text that appears nowhere else.
    """

    name: str
    value: str = field(repr=False)

    def forms(self) -> Iterator[str]:
        """The forms in which the secret may be written."""
        raw = self.value.encode()
        yield from (self.value, self.value.lower(), self.value.upper())
        yield quote(self.value, safe="")
        yield raw.hex()
        for offset in range(3):
            yield from _inside_base64(raw, offset)


def new_secret(length: int = 24) -> str:
    """A new random secret of letters, which is valid everywhere."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def leaks(texts: Mapping[str, str], canaries: list[Canary]) -> list[str]:
    """Which canaries are in which texts; empty for none.

    Parameters:
      texts: By their origin.
      canaries: What to search for.
    """
    return [
        f"{canary.name} in {place}: ...{_around(text, form)}..."
        for place, text in texts.items()
        for canary in canaries
        for form in sorted(set(canary.forms()))
        if form in text
    ]


def dump_store(redis_url: str) -> str:
    """Every key of a store with its value, as text."""
    with redis.Redis.from_url(redis_url) as store:
        streams = [
            f"{key!r} {store.xrange(key)!r}" for key in store.scan_iter(_type="stream", count=1000)
        ]
        return "\n".join((plain_values(store), *streams))


def _inside_base64(raw: bytes, offset: int) -> Iterator[str]:
    """The base64 forms of a secret that starts `offset` bytes after a multiple of three."""
    padded = bytes(offset) + raw
    # Only the characters made of the secret's own bits; the ones at the ends include others.
    own = slice(-(-offset * 8 // 6), len(padded) * 8 // 6)
    yield base64.b64encode(padded).decode()[own]
    yield base64.urlsafe_b64encode(padded).decode()[own]


def _around(text: str, form: str) -> str:
    place = text.find(form)
    return text[max(0, place - 60) : place].replace("\n", " ") + "HERE"
