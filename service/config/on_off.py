"""On/off values of the environment. Imports nothing, so that every command can afford it."""

from __future__ import annotations

from typing import Final

ON: Final = frozenset({"1", "on", "true", "yes"})
OFF: Final = frozenset({"0", "off", "false", "no"})


def parse_on_off(text: str) -> bool:
    """Read an on/off value, in upper or lower case.

    Parameters:
      text: One of the words of `ON` or `OFF`.

    Raises:
      ValueError: It is neither.
    """
    word = text.lower()
    if word not in ON | OFF:
        raise ValueError(f"must be on or off, not {text[:20]!r}")
    return word in ON
