"""How many files and connections a process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

#: Covers callbacks in flight and live subscribers, however a process is configured.
MAX_OPEN_FILES: Final = 65_536


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the system allows: many start at a thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
