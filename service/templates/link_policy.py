"""Strangers' links and mentions are not sent in the shop's name.

A link or mention in a rendered text passes if the rule itself spells it, if it went through
`allow_links`, or if it is as a whole a URL that the provider made. It is looked for in the finished
text, so no filter and no splitting over several fields hides one.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.templates.provider_urls import provider_urls
from service.unicode_text.links import Link, find_links, fold, trim_punctuation

_REMEDY: Final = "add | allow_links to send it, or | plain to remove it"


class ForeignLink(ValueError):
    """A text has a link or mention that is not the rule's; the message names the expressions."""


class Printed(str):
    """The text of one `{{ }}`.

    Parameters:
      value: The text.
      name: The expression, as an error names it.
    """

    __slots__ = ("name",)
    name: str

    def __new__(cls, value: str, name: str) -> Printed:
        """Attach the name."""
        printed = super().__new__(cls, value)
        printed.name = name
        return printed

    def __str__(self) -> str:
        """Itself: Jinja converts what it prints with `str`."""
        return self


class Rendering(NamedTuple):
    """A rendered template.

    Parameters:
      text: The result.
      chunks: Its parts, in order: texts of the template, and `Printed` values.
      literals: The strings within the template's expressions.
      allowed: What went through `allow_links`.
    """

    text: str
    chunks: Sequence[str]
    literals: Sequence[str]
    allowed: Sequence[str]

    @property
    def values(self) -> list[Printed]:
        """The text of each `{{ }}`."""
        return [chunk for chunk in self.chunks if isinstance(chunk, Printed)]


def check_links(rendering: Rendering, variables: Mapping[str, Any]) -> None:
    """Raise ForeignLink if a text has a link or mention that may not be sent.

    Parameters:
      rendering: The text.
      variables: Values of `event` and `object`.
    """
    links = find_links(rendering.text)
    if not links:
        return
    layout, passes = _Layout(rendering.chunks), _Passes(rendering, variables)
    for link in links:
        touched = layout.touched_by(link)
        if not _is_literal(link, touched) and not passes.accepts(link, touched):
            raise ForeignLink(_message(touched))


class _Layout:
    """Where the chunks of a text begin."""

    def __init__(self, chunks: Sequence[str]) -> None:
        self._chunks = [chunk for chunk in chunks if chunk]
        self._starts = [0, *itertools.accumulate(map(len, self._chunks))]

    def touched_by(self, link: Link) -> Sequence[str]:
        """The chunks that have a part of what makes the link one."""
        start, end = link.core
        first = bisect.bisect_right(self._starts, start) - 1
        return self._chunks[first : bisect.bisect_left(self._starts, end)]


class _Passes:
    """What may be sent although it is not spelled between the expressions."""

    def __init__(self, rendering: Rendering, variables: Mapping[str, Any]) -> None:
        self._rendering = rendering
        self._variables = variables
        self._urls: dict[str, set[str]] = {}

    @functools.cached_property
    def _spelled(self) -> list[str]:
        spelled = list(_targets(self._rendering.literals))
        # Of `'https://shop.example/%s' | format(...)`, what is in front of the placeholder.
        return spelled + [link.partition("%")[0] for link in spelled if "%" in link]

    @functools.cached_property
    def _allowed(self) -> set[str]:
        allowed = self._rendering.allowed
        return {*map(fold, allowed), *_targets(allowed)}

    def accepts(self, link: Link, touched: Sequence[str]) -> bool:
        if any(_continues(link.target, spelled) for spelled in self._spelled):
            return True
        # As a whole: either the link on its own, or a value with text of the rule around it.
        wholes = {link.target, *map(fold, touched)}
        return not wholes.isdisjoint(self._allowed) or any(
            not wholes.isdisjoint(self._made(name)) for name in self._variables
        )

    def _made(self, name: str) -> set[str]:
        if name not in self._urls:
            found = list(map(fold, provider_urls(self._variables[name])))
            self._urls[name] = {*found, *map(trim_punctuation, found)}
        return self._urls[name]


def _targets(texts: Iterable[str]) -> Iterator[str]:
    return (link.target for text in texts for link in find_links(text))


def _continues(target: str, link: str) -> bool:
    """Whether a target is the link, or the link with more of its path or query behind it."""
    if not target.startswith(link):
        return target == link.rstrip("/?.,;:!")
    rest = target[len(link) :]
    has_path = not {"/", "?", "#"}.isdisjoint(link.rpartition("://")[2])
    return not rest or (has_path and not find_links(rest))


def _is_literal(link: Link, touched: Sequence[str]) -> bool:
    """Whether the template spells what makes it a link; for a mention, the `@`."""
    if not any(isinstance(chunk, Printed) for chunk in touched):
        return True
    # `@{{ value }}` mentions whom the rule wants.
    return link.is_mention and len(touched) == 2 and not isinstance(touched[0], Printed)


def _message(touched: Sequence[str]) -> str:
    names = list(dict.fromkeys(chunk.name for chunk in touched if isinstance(chunk, Printed)))
    verb = "has" if len(names) == 1 else "together make"
    what = f"{verb} a link or mention, which a customer may have typed"
    return f"{' and '.join(names)} {what}: {_REMEDY}"
