"""Strangers' links and mentions are not sent in the shop's name.

A link or mention in a rendered text passes if the rule itself spells it, if it went through
`allow_links`, or if it is as a whole a URL that the provider made. It is looked for in the finished
text, so no filter and no splitting over several fields hides one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.templates.provider_urls import provider_urls
from service.unicode_text.links import Link, find_links, fold

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
        self._allowed = list(map(fold, rendering.allowed))
        known = (*rendering.literals, *rendering.allowed)
        self._links = [link.target for text in known for link in find_links(text)]
        # Of `'https://shop.example/%s' | format(...)`, what is in front of the placeholder.
        self._links += [link.partition("%")[0] for link in self._links if "%" in link]
        self._variables = variables
        self._urls: dict[str, list[str]] = {}

    def accepts(self, link: Link) -> bool:
        target = link.target
        return (
            any(target in value for value in self._allowed)
            or any(_continues(target, known) for known in self._links)
            or any(_continues(target, url) for name in self._variables for url in self._made(name))
        )

    def _made(self, name: str) -> list[str]:
        if name not in self._urls:
            self._urls[name] = list(map(fold, provider_urls(self._variables[name])))
        return self._urls[name]


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
