"""What the ledger needs to know about an event, and the events that are stored for people only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

EventStatus = Literal["accepted", "ignored", "quarantined"]


class EventIdentity(Protocol):
    """What the ledger needs to know about an event."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def livemode(self) -> bool | None: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class QuarantinedEvent:
    """An authentic body that is not a valid event, stored by its hash for people to inspect."""

    id: str
    type: str
    fingerprint: str
    livemode: bool | None = None

    @classmethod
    def of(cls, body: bytes, reason: str) -> QuarantinedEvent:
        """Derive the id from the raw body; `reason` says in a word why it is not a valid event."""
        digest = hashlib.sha256(body).hexdigest()
        return cls(id=f"quarantine_{digest[:32]}", type=reason, fingerprint=digest)
