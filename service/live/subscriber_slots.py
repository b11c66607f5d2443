"""Bounds how many live subscribers each API key has in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.http.errors import ApiError


class SubscriberSlots:
    """The subscribers of each key.

    Parameters:
      per_key: The most of one key.
    """

    def __init__(self, per_key: int) -> None:
        self._per_key = per_key
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, key_name: str) -> Iterator[None]:
        """Count a subscriber until the end of the block.

        Parameters:
          key_name: The name of its API key.

        Raises:
          ApiError: 429, the key has as many as it may have.
        """
        if self._taken[key_name] >= self._per_key:
            message = (
                f"This key has {self._per_key} live subscribers in this process, the most that"
                " SUBSCRIBERS_PER_KEY allows: end some, or share one among your clients."
            )
            raise ApiError(429, "too_many_subscribers", message)
        self._taken[key_name] += 1
        try:
            yield
        finally:
            self._taken[key_name] -= 1
            if not self._taken[key_name]:
                del self._taken[key_name]
