"""Names in Redis that are shown by other names. docs/glossary.md lists them.

Some are stored under their old names by every release: a sub-queue is part of a key, and a counter
that changed its name would begin at 0 in the middle of a deploy. The others are words of 0.1.0 that
nothing compares: they are stored as they are shown since 0.2.0, and translated in older records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Stored under these names by every release

SUB_QUEUES: Final[Mapping[str, str]] = {
    "look": "verify_write",
    "dm_unknown": "dm_thread_unknown",
    "walk": "follower_export",
}

#: Indexes of due work, without `hg:`.
INDEXES: Final[Mapping[str, str]] = {"wakes": "unclaimed", "alarms": "account_wakeups"}

#: The last part of a counter's name, by its first part.
COUNTED_OUTCOMES: Final[Mapping[str, Mapping[str, str]]] = {
    "attempt": {
        "again": "retry",
        "put_back": "deferred",
        "uncharged": "not_counted",
        "lapsed": "lease_expired",
    },
    "claim": {"lookup": "verify_write"},
}

# Words of records that 0.1.0 wrote

#: Codes of errors, which are reasons to wait and reasons in timelines, too.
ERROR_CODES: Final[Mapping[str, str]] = {
    "walk_stuck": "pagination_loop",
    "photo_not_taken": "photo_processing_failed",
}

TIMELINE_BY: Final[Mapping[str, str]] = {
    "accept": "intake",
    "line": "account_queue",
    "look": "lookup",
    "pulse": "heartbeat",
    "sweep": "rescue",
}

TIMELINE_WHY: Final[Mapping[str, str]] = {
    **ERROR_CODES,
    "another account looks": "moved to another account",
    "asked to": "requested",
    "begun too often": "too many attempts",
    "born failed": "rejected at creation",
    "cannot be known": "outcome unknown",
    "found by look-up": "found by verification lookup",
    "handed back": "interrupted",
    "its turn": "turn granted",
    "lease lapsed": "lease expired",
    "look-up": "verification lookup",
    "nothing led to it": "orphaned",
}

AUDIT_DECISIONS: Final[Mapping[str, str]] = {"cool": "cooldown"}

#: Outcomes and codes in the attempt logs of deliveries.
DELIVERY_ATTEMPTS: Final[Mapping[str, str]] = {
    "uncharged": "not_counted",
    "handed_back": "interrupted",
}


def public_name(names: Mapping[str, str], stored: str) -> str:
    """The name that users see.

    Parameters:
      names: One of the tables above.
      stored: The name in Redis; one that the table does not have is shown as it is.
    """
    return names.get(stored, stored)


def stored_names(names: Mapping[str, str], shown: str | None) -> list[str]:
    """The names in Redis that users see under one; none if that is None.

    Parameters:
      names: One of the tables above.
      shown: The name that users see.
    """
    if shown is None:
        return []
    return [shown, *(stored for stored, public in names.items() if public == shown)]


def public_error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """A job's error (None for none) with the code that users see."""
    return error and error | {"code": public_name(ERROR_CODES, error["code"])}
