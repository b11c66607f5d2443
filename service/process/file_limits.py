"""How many files and connections a process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

#: For callbacks under way and live listeners, however many a process is told to have.
MAX_FILES: Final = 65_536


def raise_file_limit() -> None:
    """Ask for as many open files as the system gives: many give a thousand to begin with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
