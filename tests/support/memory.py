"""The resident memory of processes, read from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_INTERVAL_SECONDS: Final = 0.02


@dataclass
class PeakMemory:
    """The most resident memory so far, in MiB."""

    most: float = 0.0


def resident_mib(session: int) -> float:
    """The resident memory of a process and its descendants, in MiB.

    Parameters:
      session: The process id, which leads a session of its own.
    """
    pages = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _session_of(entry) == session:
            pages += _resident_pages(entry)
    return pages * _PAGE_BYTES / 1024**2


@contextmanager
def peak_memory(session: int) -> Iterator[PeakMemory]:
    """Measure until the end of the block.

    Parameters:
      session: As for `resident_mib`.
    """
    resident, over = PeakMemory(resident_mib(session)), threading.Event()

    def watch() -> None:
        while not over.wait(_INTERVAL_SECONDS):
            resident.most = max(resident.most, resident_mib(session))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield resident
    finally:
        over.set()
        thread.join()


def _session_of(process: Path) -> int:
    try:
        stat = (process / "stat").read_text()
    except OSError:
        return 0  # it has exited
    return int(stat.rpartition(")")[2].split()[3])


def _resident_pages(process: Path) -> int:
    try:
        return int((process / "statm").read_text().split()[1])
    except OSError:
        return 0
