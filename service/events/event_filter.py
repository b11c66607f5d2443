"""Which events a caller wants to find. Pure data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from service.events.type_patterns import compile_patterns, is_exact

EventStatus = Literal["accepted", "quarantined", "conflict", "ignored"]
#: What a rule says of an event (`EventPlan.notes`), or that no rule made a job of it.
EventOutcome = Literal["matched", "rejected", "when_false", "when_error", "no_rule_matched"]


@dataclass(frozen=True)
class EventFilter:
    """Which events to find: those that meet everything that is given; None and () mean any.

    Parameters:
      source: Name of the source that sent them.
      type: Their type, or a glob of it as rules have.
      statuses: They have one of these.
      rule: Name of a rule that was for them.
      outcome: What that rule, or else any rule, says of them.
      created_since_ms: Received at or after this, Unix milliseconds.
      created_until_ms: Received before this, Unix milliseconds.
    """

    source: str | None = None
    type: str | None = None
    statuses: tuple[EventStatus, ...] = ()
    rule: str | None = None
    outcome: EventOutcome | None = None
    created_since_ms: int | None = None
    created_until_ms: int | None = None

    def query(self) -> dict[str, Any]:
        """What find_events.lua is told of it; globs are not."""
        asked = {
            "source": self.source,
            "type": self.type if self.type is not None and is_exact(self.type) else None,
            "statuses": self.statuses,
            "rule": self.rule,
            "outcome": self.outcome,
            "since": self.created_since_ms,
            "until": self.created_until_ms,
        }
        return {name: value for name, value in asked.items() if value not in (None, ())}

    def glob(self) -> Callable[[str], bool] | None:
        """Whether a type matches the glob; None if the type is no glob."""
        if self.type is None or is_exact(self.type):
            return None
        return compile_patterns([self.type])
