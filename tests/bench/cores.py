"""CPU pinning: the server and its baselines share one core, everything else runs on another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CORES: Final = sorted(os.sched_getaffinity(0))
#: The core of the server under test.
SERVER: Final = _CORES[0]
#: The core of the load, the store and everything else; the same if there is only one.
LOAD: Final = _CORES[-1]
#: For `how`.
PLACES: Final = (
    f"server on core {SERVER}, all else on core {LOAD}"
    if SERVER != LOAD
    else "all on the only core there is, so that load and server slow each other down"
)


@contextmanager
def beside_the_server() -> Iterator[None]:
    """Pin this process, and the processes it starts, to the load's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, core: int = SERVER) -> None:
    """Pin a process with its current threads to one core.

    Parameters:
      pid: The process.
      core: The core's number.
    """
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
