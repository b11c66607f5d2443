"""The limit of open files and connections of a process."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

#: Enough for callbacks in flight and live subscribers, however a process is configured.
MAX_OPEN_FILES: Final = 65_536


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the system allows; the default is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def open_file_limit() -> int:
    """How many files and connections the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft
