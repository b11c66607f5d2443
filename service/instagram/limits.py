"""Limits that Instagram's own apps have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The longest text of each kind of write, in characters.
MAX_TEXT_CHARACTERS: Final[Mapping[str, int]] = {"dm": 1_000, "comment": 2_200}
