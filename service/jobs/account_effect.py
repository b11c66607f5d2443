"""What the error of one job does to its whole account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Escalation = Literal["double", "widen"]


@dataclass(frozen=True)
class AccountEffect:
    """What an error means for the whole account: a hold, a cooldown or nothing.

    Parameters:
      hold: Reason of a hold, which needs a person.
      note: What happened and what the person can do; '' for nothing.
      asks: What else its callback says of the hold: `remedy`, `accepts_code`.
      said: What Instagram said, as far as it may be shown (service/accounts/holds.py).
      cooldown: Reason of a cooldown, in which no job of `kind` runs.
      kind: `dm`, `comment` or `*` for all.
      cooldown_ms: Length of the cooldown.
      escalation: How the cooldown changes if the previous one was recent: `double` makes it twice
        as long, up to a day; `widen` makes it apply to every kind for three days.
    """

    hold: str | None = None
    cooldown: str | None = None
    kind: str = "*"
    cooldown_ms: int = 0
    escalation: Escalation | None = None
    note: str = ""
    asks: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """The effect in the form that release_job.lua reads."""
        if self.hold is not None:
            more = {"note": self.note, "asks": dict(self.asks), "said": dict(self.said)}
            return json.dumps(
                {"hold": self.hold} | {name: value for name, value in more.items() if value}
            )
        if self.cooldown is not None:
            effect = {"cool": self.cooldown, "kind": self.kind, "ms": self.cooldown_ms}
            return json.dumps(effect | ({"again": self.escalation} if self.escalation else {}))
        return "{}"


NO_EFFECT = AccountEffect()
