"""Which entries of the audit log a caller wants to find. Pure data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from service.jobs.stored_names import AUDIT_DECISIONS, TIMELINE_BY, stored_names


@dataclass(frozen=True)
class AuditFilter:
    """Which entries to find: those that meet everything that is given; None means any.

    Parameters:
      account: The account that they are about; `*` for what is about all.
      job_id: The job that they are about.
      by: Who decided: `api:KEYNAME`, `cli`, a worker, ...
      decision: What was decided.
      since_ms: Decided at or after this, Unix milliseconds.
      until_ms: Decided before this, Unix milliseconds.
    """

    account: str | None = None
    job_id: str | None = None
    by: str | None = None
    decision: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def query(self) -> dict[str, list[str]]:
        """The values that each stored field may have, of those that are asked for."""
        asked = {
            "account": [self.account] if self.account is not None else [],
            "job": [self.job_id] if self.job_id is not None else [],
            "by": stored_names(TIMELINE_BY, self.by),
            "decision": stored_names(AUDIT_DECISIONS, self.decision),
        }
        return {name: values for name, values in asked.items() if values}

    def meets(self, entry_id: str, fields: Mapping[str, str]) -> bool:
        """Whether an entry, as it is stored, is one of those."""
        at_ms = int(entry_id.partition("-")[0])
        if self.since_ms is not None and at_ms < self.since_ms:
            return False
        if self.until_ms is not None and at_ms >= self.until_ms:
            return False
        return all(fields.get(name) in values for name, values in self.query().items())

    def newest(self, cursor: str | None) -> str:
        """The bound from which on XREVRANGE finds what comes after a cursor (None: the first)."""
        at_ms = math.inf if cursor is None else int(cursor.partition("-")[0])
        if self.until_ms is not None and at_ms >= self.until_ms:
            return str(max(0, self.until_ms - 1))
        return "+" if cursor is None else f"({cursor}"

    def oldest(self) -> str:
        """The bound at which XREVRANGE stops."""
        return "-" if self.since_ms is None else str(max(0, self.since_ms))
