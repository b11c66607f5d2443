"""Counts of stored values by their keys. Pure data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from service.encryption.cipher import KeyState

#: What people read in counts.
Kind = Literal["event bodies", "texts", "photos", "sessions", "verification codes"]


@dataclass
class KeyCounts:
    """How many values there are of each kind, by how they are stored.

    Parameters:
      found: By kind and state.
      replaced: How many were re-encrypted.
    """

    found: Counter[tuple[Kind, KeyState]] = field(default_factory=Counter)
    replaced: int = 0

    def of(self, state: KeyState) -> dict[Kind, int]:
        """How many values of each kind are stored in one way; kinds without any are left out."""
        return {kind: count for (kind, each), count in self.found.items() if each == state}
