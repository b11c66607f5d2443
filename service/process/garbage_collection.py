"""The garbage collector of a server process."""

from __future__ import annotations

import gc
from typing import Final

#: How many more objects may be allocated than freed before a collection: a few MB.
YOUNG_OBJECTS: Final = 10_000


def freeze_gc() -> None:
    """Exclude everything alive at the end of boot from garbage collection, and collect less often.

    Otherwise each full collection walks every imported module (60 ms in a worker, in which no call
    goes on), and the default threshold starts a young collection every few requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
