"""Limits this process, then runs a program in it: `python -I limited_program.py LIMITS PROGRAM`.

The program finds LIMITS as its first argument.
"""

from __future__ import annotations

import ctypes
import json
import resource
import runpy
import signal
import sys
from contextlib import suppress
from typing import Final

#: From <linux/prctl.h>. The limit does not hold where dumps are piped into a program (core(5)).
_PR_SET_DUMPABLE: Final = 4


def main() -> None:
    """Limit the process and become the program."""
    _, limits, program = sys.argv
    limit_resources(json.loads(limits))
    sys.argv = [program, limits]
    runpy.run_path(program, run_name="__main__")


def limit_resources(limits: dict[str, int]) -> None:
    """Have the kernel end this process when it exceeds its limits.

    Parameters:
      limits: `memory_bytes`, `cpu_seconds`, `seconds` (wall clock), `output_bytes`.
    """
    signal.alarm(limits["seconds"])
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, limits["output_bytes"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
    ):
        # macOS cannot limit memory; developers there work on their own files only.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    # Not on macOS.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    main()
