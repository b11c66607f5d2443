"""Copies that this process keeps: while one is fresh, nobody else needs to be asked."""

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
    """The copies asked for last.

    Parameters:
      most: How many to keep.
      clock: Seconds that only grow.
    """

    def __init__(
        self, most: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[LookupTarget, tuple[float, CachedValue]] = OrderedDict()

    def keep(self, target: LookupTarget, copy: CachedValue) -> None:
        """Keep a copy, and let the one go that was not asked for the longest."""
        self._kept[target] = (self._clock() - copy.age_ms / 1000, copy)
        self._kept.move_to_end(target)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def fresh(self, target: LookupTarget, fresh_ms: int) -> CachedValue | None:
        """The copy of a target, if it is not older than this."""
        kept = self._kept.get(target)
        if kept is None:
            return None
        since, copy = kept
        age_ms = round((self._clock() - since) * 1000)
        if age_ms >= fresh_ms:
            del self._kept[target]
            return None
        self._kept.move_to_end(target)
        return CachedValue(copy.body, copy.etag, age_ms)
