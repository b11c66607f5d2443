"""Sums of counters, and how the API shows them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from service.stats.counters import Callbacks, JobEnds
from service.stats.waits import BUCKETS, percentile

#: The kinds that write; all other jobs only read.
_WRITES: Final = frozenset({"dm", "comment"})
#: Outcomes of writes that are shown by their own names.
_PLAIN_OUTCOMES: Final = ("canceled", "expired", "uncertain", "dry_run")
_READ_OUTCOMES: Final = ("succeeded", "failed", "canceled", "expired")


@dataclass
class JobTotals:
    """How many runs of jobs ended, by how.

    Parameters:
      writes: Of DMs and comments, by outcome.
      codes: Why those failed that did.
      waits: Of those that were sent, by bucket.
      reads: Of lookups and follower exports, by outcome.
    """

    writes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    reads: Counter[str] = field(default_factory=Counter)

    def add(self, ends: JobEnds, count: int) -> None:
        if ends.kind not in _WRITES:
            self.reads[ends.outcome] += count
            return
        self.writes[ends.outcome] += count
        if ends.outcome == "failed":
            self.codes[ends.code or "unknown"] += count
        elif ends.wait is not None:
            self.waits[min(ends.wait, BUCKETS - 1)] += count

    def public(self) -> dict[str, Any]:
        """The numbers as the API shows them."""
        codes = {code: self.codes[code] for code in sorted(self.codes) if self.codes[code]}
        return {
            "sent": self.writes["succeeded"],
            "failed": {"total": self.writes["failed"], "codes": codes},
            **{outcome: self.writes[outcome] for outcome in _PLAIN_OUTCOMES},
            "wait_seconds": {
                "p50": percentile(self.waits, 0.5),
                "p95": percentile(self.waits, 0.95),
            },
            "lookups": {outcome: self.reads[outcome] for outcome in _READ_OUTCOMES},
        }


@dataclass
class CallbackTotals:
    """How many callbacks ended, by endpoint and how."""

    outcomes: Counter[Callbacks] = field(default_factory=Counter)

    def add(self, callbacks: Callbacks, count: int) -> None:
        self.outcomes[callbacks] += count

    def public(self) -> dict[str, Any]:
        """The numbers as the API shows them."""
        endpoints = sorted({each.endpoint for each in self.outcomes})
        return {
            **self._of(endpoints),
            "endpoints": [{"endpoint": name, **self._of([name])} for name in endpoints],
        }

    def _of(self, endpoints: list[str]) -> dict[str, int]:
        return {
            outcome: sum(self.outcomes[Callbacks(name, outcome)] for name in endpoints)
            for outcome in ("delivered", "failed", "retried")
        }
