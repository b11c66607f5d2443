"""Checks that a value can be written as JSON again, and how deep and how large it is. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator


def json_size(value: object) -> int | None:
    """Return the size of a value as UTF-8 JSON, in bytes.

    Returns:
      None if the value has no plain JSON form: it has NaN or an infinite number, a lone surrogate,
      or is nested too deeply for the encoder. No exception, because that would carry the value.
    """
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        return None


def is_deeper(value: object, levels: int) -> bool:
    """Whether a value is nested more than `levels` deep; `{"a": {"b": 1}}` has two levels.

    Neither recurses nor looks below the limit.
    """
    level = [value]
    for _ in range(levels + 1):
        level = [inner for outer in level for inner in _children(outer)]
    return bool(level)


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
