"""Events in the form that accept_events.lua reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import orjson

from service.jobs.draft_encoding import encode_head
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE
from service.jobs.model import Recognition
from service.jobs.tombstone_names import TombstoneNames

_LIVEMODES: Final = {True: "true", False: "false", None: "null"}

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


def encode_event(
    source: str,
    event: EventIdentity,
    entries: list[dict[str, Any]],
    status: EventStatus,
    notes: Sequence[dict[str, Any]],
    recognition: Recognition,
    tombstones: TombstoneNames,
) -> dict[str, Any]:
    """Encode an event with its jobs; those that are too many for one step are left to later ones.

    Parameters:
      entries: Its jobs, as draft_encoding.py encodes them.
      status, notes, recognition: As for `Ledger.accept`.
      tombstones: Names those of erased events.
    """
    envelope: dict[str, Any] = {
        "source": source,
        "id": event.id,
        "type": event.type,
        "fingerprint": event.fingerprint,
        "livemode": _LIVEMODES[event.livemode],
        "status": status,
        "notes": orjson.dumps(notes).decode(),
        "jobs": entries,
        **_encode_recognition(source, recognition, tombstones),
    }
    if len(entries) > JOBS_AT_ONCE:
        envelope["jobs"] = entries[:JOBS_AT_ONCE]
        envelope["deferred"] = [encode_head(entry) for entry in entries[JOBS_AT_ONCE:]]
    return envelope


def _encode_recognition(
    source: str, recognition: Recognition, tombstones: TombstoneNames
) -> dict[str, Any]:
    found = {name: value for name, value in recognition._asdict().items() if value is not None}
    for name in ("event_key", "body_key"):
        if name in found:
            found[name] = f"hg:known:{source}:{found[name]}"
    if recognition.body_key is not None:
        found["body_endings"] = tombstones.endings(recognition.body_key)
    return found
