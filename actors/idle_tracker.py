"""Which of a process' named resources are in use, and which unused ones are to be closed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class IdleTracker:
    """Counts the users of each resource and remembers since when it has had none.

    Closing takes time, and somebody may use the resource meanwhile. So whoever closes takes each
    name of `due` first, and leaves alone what `take` no longer finds idle.

    Parameters:
      max_idle: How many unused resources are kept.
      idle_seconds: For how long.
    """

    def __init__(self, max_idle: int, idle_seconds: float) -> None:
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._users: Counter[str] = Counter()
        #: Monotonic time since which nobody has used it, the longest unused first.
        self._idle_since: dict[str, float] = {}

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Count one more user of a resource until the block ends."""
        self._users[name] += 1
        self._idle_since.pop(name, None)
        try:
            yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                self._idle_since[name] = time.monotonic()

    def due(self) -> list[str]:
        """The resources to close: unused for too long, or too many, the longest unused first."""
        expired = time.monotonic() - self._idle_seconds
        excess = len(self._idle_since) - self._max_idle
        idle = enumerate(self._idle_since.items())
        return [name for place, (name, since) in idle if place < excess or since <= expired]

    def take(self, name: str) -> float | None:
        """Remove an unused resource that is about to be closed.

        Returns:
          Since when it has been unused; None when it is in use again, or closed already.
        """
        return self._idle_since.pop(name, None)

    def put_back(self, name: str, since: float) -> None:
        """Undo `take` for a resource that could not be closed: it is due first next time."""
        if name not in self._users and name not in self._idle_since:
            self._idle_since = {name: since, **self._idle_since}

    def clear(self) -> None:
        """Forget the unused resources: all are being closed."""
        self._idle_since.clear()
