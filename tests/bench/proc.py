"""Threads and memory of a process, from /proc."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_PAUSE_SECONDS = 0.05


class Watched:
    """A worker process' most threads and memory until the end of the block.

    Parameters:
      master: The pid of the `dramatiq` that started it.
    """

    def __init__(self, master: int) -> None:
        self._pid = max(_children(master), key=lambda pid: _status(pid)["Threads"])
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.threads = 0
        #: Since the process began.
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            status = _status(self._pid)
            self.threads = max(self.threads, status["Threads"])
            self.peak_mb = status["VmHWM"] / 1000
            if self._stopped.wait(_PAUSE_SECONDS):
                return


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _status(pid: int) -> dict[str, int]:
    """The numbers in its /proc status; sizes are in kB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) for words in lines if words[1:] and words[1].isdigit()}
