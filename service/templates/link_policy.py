"""Strangers' links and mentions are not sent in the shop's name.

A link or mention in a rendered text passes if the rule itself spells it, if it went through
`allow_links`, or if it is as a whole a URL that the provider made. It is looked for in the finished
text, so no filter and no splitting over several fields hides one.
"""

from __future__ import annotations

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
    foreign = [
        link for link in find_links(rendering.text) if not _is_literal(link, rendering.chunks)
    ]
    if not foreign:
        return
    passes = _Passes(rendering, variables)
    for link in foreign:
        if not passes.accepts(link):
            raise ForeignLink(_message(link, rendering.chunks))


class _Passes:
    """What may be sent although it is not spelled between the expressions."""

    def __init__(self, rendering: Rendering, variables: Mapping[str, Any]) -> None:
        self._chunks = rendering.chunks
        self._spelled = list(_targets(rendering.literals))
        # Of `'https://shop.example/%s' | format(...)`, what is in front of the placeholder.
        self._spelled += [link.partition("%")[0] for link in self._spelled if "%" in link]
        self._allowed = {*map(fold, rendering.allowed), *_targets(rendering.allowed)}
        self._variables = variables
        self._urls: dict[str, set[str]] = {}

    def accepts(self, link: Link) -> bool:
        if any(_continues(link.target, spelled) for spelled in self._spelled):
            return True
        # As a whole: either the link on its own, or a value with text of the rule around it.
        wholes = {link.target, *map(fold, _touching(*link.core, self._chunks))}
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


def _is_literal(link: Link, chunks: Sequence[str]) -> bool:
    """Whether the template spells what makes it a link; for a mention, the `@`."""
    start, end = link.core
    touched = list(_touching(start, end, chunks))
    if not any(isinstance(chunk, Printed) for chunk in touched):
        return True
    # `@{{ value }}` mentions whom the rule wants.
    return link.is_mention and len(touched) == 2 and not isinstance(touched[0], Printed)


def _touching(start: int, end: int, chunks: Sequence[str]) -> Iterator[str]:
    position = 0
    for chunk in chunks:
        if position < end and position + len(chunk) > start:
            yield chunk
        position += len(chunk)


def _message(link: Link, chunks: Sequence[str]) -> str:
    printed = [chunk.name for chunk in _touching(*link.core, chunks) if isinstance(chunk, Printed)]
    names = " and ".join(dict.fromkeys(printed))
    verb = "has" if len(set(printed)) == 1 else "together make"
    return f"{names} {verb} a link or mention, which a customer may have typed: {_REMEDY}"
