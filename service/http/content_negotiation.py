"""Chooses a response's media type from the Accept header (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T", bound=str)

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def best_match(accept: str, offers: Sequence[T]) -> T | None:
    """Return the offered media type that the caller prefers.

    Parameters:
      accept: The Accept header; empty accepts anything.
      offers: Media types, the server's preferred one first.

    Returns:
      The offer with the greatest weight; among equals the one matched most specifically
      (`text/csv` before `text/*`), then the first. None if no offer is acceptable.
    """
    ranges = list(_ranges(accept)) or [("*/*", 1.0)]
    best: T | None = None
    best_rank = (0.0, -1)
    for offer in offers:
        specificity, weight = max(_matches(offer, ranges), default=(-1, 0.0))
        if weight > 0 and (weight, specificity) > best_rank:
            best, best_rank = offer, (weight, specificity)
    return best


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            yield name, _weight(parameters)


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _WEIGHT.fullmatch(value.strip()) else 1.0
    return 1.0


def _matches(offer: str, ranges: Sequence[tuple[str, float]]) -> Iterator[tuple[int, float]]:
    """Yield (specificity, weight) of each range that matches the offer."""
    family = offer.partition("/")[0]
    for name, weight in ranges:
        if name in ("*/*", "*"):
            yield 0, weight
        elif name == f"{family}/*":
            yield 1, weight
        elif name == offer:
            yield 2, weight
