"""Which jobs a caller wants to find. Pure data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from service.jobs.model import Status
from service.jobs.stored_names import ERROR_CODES

#: What of a job's metadata it is found by (lua/lib/job_indexes.lua): its first keys with plain
#: values, as far as both are short. In characters.
MAX_METADATA_ENTRIES: Final = 4
MAX_METADATA_KEY: Final = 40
MAX_METADATA_VALUE: Final = 100


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to find: those that meet everything that is given; None and () mean any.

    Parameters:
      statuses: They have one of these.
      account: Name of their account.
      kind: Their kind.
      to: Their recipient, or whom they look up: a username without `@`, or `pk:DIGITS`. A job that
        was written for another name of the same person is found, too.
      rule: Name of the rule that created them.
      source: Name of the source whose event created them.
      event_id: The sender's id of an event that lists them.
      code: The code of their error.
      metadata: Entries of their metadata, each a key and the text of its value.
      created_since_ms: Created at or after this, Unix milliseconds.
      created_until_ms: Created before this, Unix milliseconds.
      bound_to: Names of the accounts that the caller's API key is bound to.
    """

    statuses: tuple[Status, ...] = ()
    account: str | None = None
    kind: str | None = None
    to: str | None = None
    rule: str | None = None
    source: str | None = None
    event_id: str | None = None
    code: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    created_since_ms: int | None = None
    created_until_ms: int | None = None
    bound_to: tuple[str, ...] = ()

    def within(self, accounts: Collection[str] | None) -> JobFilter:
        """The same, but only jobs of some accounts; None for all."""
        return self if accounts is None else replace(self, bound_to=tuple(sorted(accounts)))

    @property
    def tells_of_people(self) -> bool:
        """Whether what is found tells something that jobs do not show to everybody."""
        return self.to is not None or bool(self.metadata)

    def query(self) -> dict[str, Any]:
        """What find_jobs.lua is told of it; `to` and `event_id` have to be looked up first."""
        asked = {
            "statuses": [str(status) for status in self.statuses],
            "account": self.account,
            "bound_to": self.bound_to,
            "kind": self.kind,
            "rule": self.rule,
            "source": self.source,
            "codes": _stored_codes(self.code),
            "metadata": self.metadata,
            "since": self.created_since_ms,
            "until": self.created_until_ms,
        }
        return {name: value for name, value in asked.items() if value not in (None, (), [])}


def _stored_codes(code: str | None) -> list[str]:
    """The codes under which errors may be stored that users see under this one."""
    if code is None:
        return []
    return [code, *(stored for stored, shown in ERROR_CODES.items() if shown == code)]
