"""Which core runs what: a server and what it is compared with share one, all else is on another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CORES: Final = sorted(os.sched_getaffinity(0))
#: Where the server under test runs.
SERVER: Final = _CORES[0]
#: Where the load, the store and whatever else is needed run; the same where there is but one.
LOAD: Final = _CORES[-1]
#: For `how`.
PLACES: Final = (
    f"server on core {SERVER}, all else on core {LOAD}"
    if SERVER != LOAD
    else "all on the only core there is, so that load and server slow each other down"
)


@contextmanager
def beside_the_server() -> Iterator[None]:
    """Keep this process, and whatever it starts meanwhile, on the load's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, core: int = SERVER) -> None:
    """Keep a process, with the threads that it has, on one core.

    Parameters:
      pid: The process.
      core: The core's number.
    """
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
