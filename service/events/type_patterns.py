"""Matches an event's type against the patterns of a rule.

Only `*` and `?` are wildcards. Square brackets stand for themselves, because Stripe's types have
them (`v2.core.account[requirements].updated`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Final

_WILDCARD: Final = re.compile(r"[*?]")


def is_exact(pattern: str) -> bool:
    """Whether a pattern has no wildcard, so that it matches one type only."""
    return not _WILDCARD.search(pattern)


def compile_patterns(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Compile the patterns of a rule.

    Parameters:
      patterns: Types, or globs of types; case matters.

    Returns:
      Whether a type matches any of them as a whole.
    """
    exact = frozenset(pattern for pattern in patterns if is_exact(pattern))
    globs = "|".join(_as_regex(pattern) for pattern in patterns if pattern not in exact)
    if not globs:
        return exact.__contains__
    matches = re.compile(globs).match
    return lambda event_type: event_type in exact or matches(event_type) is not None


def _as_regex(pattern: str) -> str:
    # `fnmatch` makes expressions that do not backtrack, whatever the number of stars.
    return fnmatch.translate(pattern.replace("[", "[[]"))
