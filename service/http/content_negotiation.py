"""Which form an answer takes: the Accept header (RFC 9110, 12.5.1) and what there is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T", bound=str)

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def best_match(accept: str, offers: Sequence[T]) -> T | None:
    """The form that a caller likes best.

    Parameters:
      accept: The header; empty for anything.
      offers: Media types, ours first.

    Returns:
      The one of the greatest weight; of those the one that is named most exactly (`text/csv`
      before `text/*`), then the first. None when none will do.
    """
    ranges = list(_ranges(accept)) or [("*/*", 1.0)]
    found: T | None = None
    most = (0.0, -1)
    for offer in offers:
        exactness, weight = max(_matches(offer, ranges), default=(-1, 0.0))
        if weight > 0 and (weight, exactness) > most:
            found, most = offer, (weight, exactness)
    return found


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
    """The weights that speak of an offer, each with how exactly."""
    family = offer.partition("/")[0]
    for name, weight in ranges:
        if name in ("*/*", "*"):
            yield 0, weight
        elif name == f"{family}/*":
            yield 1, weight
        elif name == offer:
            yield 2, weight
