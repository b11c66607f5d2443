"""A store that falls back to its past, as a backup that is restored or a replica that lags does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis


class Backup:
    """Everything in a store at the time when this is made.

    Parameters:
      store: A client to the store.
    """

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._values: Mapping[bytes, Any] = {key: store.dump(key) for key in store.scan_iter()}
        self._lives: Mapping[bytes, Any] = {key: store.pttl(key) for key in self._values}

    def restore(self) -> None:
        """Take the store back to that time: what came later is lost."""
        with self._store.pipeline(transaction=True) as pipe:
            pipe.flushdb()
            for key, value in self._values.items():
                pipe.restore(key, max(0, self._lives[key]), value)
            pipe.execute()
