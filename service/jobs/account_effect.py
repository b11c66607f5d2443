"""What the error of one job does to its whole account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Escalation = Literal["double", "widen"]


@dataclass(frozen=True)
class AccountEffect:
    """What an error means for the whole account: a hold, a cooldown or nothing.

    Parameters:
      hold: Reason of a hold, which needs a person.
      note: What happened and what the person can do; '' for nothing.
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

    def as_json(self) -> str:
        """The effect in the form that release_job.lua reads."""
        if self.hold is not None:
            return json.dumps({"hold": self.hold} | ({"note": self.note} if self.note else {}))
        if self.cooldown is not None:
            effect = {"cool": self.cooldown, "kind": self.kind, "ms": self.cooldown_ms}
            return json.dumps(effect | ({"again": self.escalation} if self.escalation else {}))
        return "{}"


NO_EFFECT = AccountEffect()
