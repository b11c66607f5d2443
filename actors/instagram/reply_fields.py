"""Reads fields of Instagram's replies, whatever they contain. Pure.

A field that is optional in one release of the app is missing, null or of another type in the next.
Whoever reads a field here gets a value of the type that is asked for, or an empty one; nothing
raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

Reply = Mapping[str, Any]

#: Words that stand for true where Instagram writes a flag as text.
_TRUE: Final = frozenset({"true", "1"})
_ID: Final = re.compile(r"[1-9][0-9]{0,24}")
_COUNT: Final = re.compile(r"[0-9]{1,19}")


def mapping(value: Any) -> Reply:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Any) -> list[Reply]:
    """The JSON objects in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value as text that UTF-8 can encode: a lone surrogate becomes a question mark.

    A number becomes its digits: a name of digits may arrive as one. Anything else becomes ''.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).encode(errors="replace").decode()


def count(value: Any) -> int | None:
    """A number that is not negative, as digits or as a number; None for anything else."""
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None


def flag(value: Any) -> bool:
    """Whether the value is true: a flag may arrive as 1 or as text."""
    return str(value).lower() in _TRUE


def numeric_id(value: Any) -> str | None:
    """An id in digits, from a number or text; None for anything else, 0 included."""
    digits = text(value).strip()
    return digits if _ID.fullmatch(digits) else None


def cursor(value: Any) -> str:
    """The start of another page; '' for anything that is neither text nor a number, and for 0."""
    return "" if value == 0 else text(value)


def _number(value: Any) -> float | int | None:
    if isinstance(value, str) and _COUNT.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None
