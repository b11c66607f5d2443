"""The garbage collector of a server process."""

from __future__ import annotations

import gc
from typing import Final

#: How many more objects a web process may allocate than free before a collection. In a worker,
#: whose pages of followers are larger than requests, they would take 8 MB.
WEB_YOUNG_OBJECTS: Final = 10_000


def freeze_gc() -> None:
    """Exclude everything alive at the end of boot from garbage collection.

    Otherwise each full collection walks every imported module: 60 ms in a worker, in which no call
    goes on.
    """
    gc.collect()
    gc.freeze()


def collect_less_often() -> None:
    """Raise the threshold, which otherwise starts a young collection every few requests."""
    gc.set_threshold(WEB_YOUNG_OBJECTS)
