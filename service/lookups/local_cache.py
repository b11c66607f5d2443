"""Lookup results cached in this process: a fresh one is served without a round trip."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from service.lookups.shared_cache import CachedValue
from service.lookups.targets import LookupTarget

#: A profile is a few hundred bytes; captions have up to 2,200 characters.
MAX_ENTRIES: Final = 2_000


class LocalCache:
    """The values used last (LRU).

    Parameters:
      max_entries: How many to keep.
      clock: Monotonic seconds.
    """

    def __init__(
        self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[LookupTarget, tuple[float, CachedValue]] = OrderedDict()

    def put(self, target: LookupTarget, value: CachedValue) -> None:
        """Store a value; the least recently used one makes room."""
        self._entries[target] = (self._clock() - value.age_ms / 1000, value)
        self._entries.move_to_end(target)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def get(self, target: LookupTarget, fresh_ms: int) -> CachedValue | None:
        """The value of a target with its present age, if it is younger than `fresh_ms`."""
        entry = self._entries.get(target)
        if entry is None:
            return None
        fetched_at, value = entry
        age_ms = round((self._clock() - fetched_at) * 1000)
        if age_ms >= fresh_ms:
            del self._entries[target]
            return None
        self._entries.move_to_end(target)
        return CachedValue(value.body, value.etag, age_ms)
