"""The jobs that a replay adds to an event, as the scripts read them. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.jobs.draft_encoding import dumps
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE


class Slice(NamedTuple):
    """Some of an event's jobs, no more than one step creates.

    Parameters:
      entries: A JSON list.
      jobs: How many there are.
    """

    entries: str
    jobs: int

    @classmethod
    def of(cls, entries: Sequence[dict[str, Any]]) -> Slice:
        return cls(dumps(entries), len(entries))


class PreparedReplay(NamedTuple):
    """The jobs that a replay adds to an event.

    Parameters:
      event: The event (source:id).
      slices: The jobs; at least one slice, which may be empty.
      reference: The event, for the audit log (JSON).
      new_names: The names of the event's tombstones, should one of its jobs be erased (JSON).
    """

    event: str
    slices: Sequence[Slice]
    reference: str
    new_names: str

    @classmethod
    def of(
        cls,
        source: str,
        event_id: str,
        entries: Sequence[dict[str, Any]],
        new_names: Mapping[str, str],
    ) -> PreparedReplay:
        """Encode the entries of an event's jobs (draft_encoding.py)."""
        places = range(0, max(len(entries), 1), JOBS_AT_ONCE)
        return cls(
            f"{source}:{event_id}",
            [Slice.of(entries[at : at + JOBS_AT_ONCE]) for at in places],
            dumps({"source": source, "event_id": event_id}),
            dumps(new_names),
        )
