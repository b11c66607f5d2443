"""Keeps the memory of a process, with its keys and sessions, out of core dumps."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from multiprocessing import parent_process
from typing import Final

_NONE: Final = (0, 0)
#: From <linux/prctl.h>.
_PR_SET_DUMPABLE: Final = 4


def disable_core_dumps() -> None:
    """Have the kernel write no core dump of this process, nor of one that manages it.

    The limit alone does not hold where dumps are piped into a program, as systemd-coredump
    (core(5)). A process that is not dumpable also keeps its environment from others of its user
    (proc(5)). A new program is dumpable again, so each process calls this for itself.
    """
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, _NONE)
    # Not on macOS.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _disable_in_parent()


def _disable_in_parent() -> None:
    # The stock command line of Dramatiq, which runs nothing of ours, starts the workers.
    parent = parent_process()
    if parent is not None and parent.pid is not None and hasattr(resource, "prlimit"):
        with suppress(ValueError, OSError):
            resource.prlimit(parent.pid, resource.RLIMIT_CORE, _NONE)
