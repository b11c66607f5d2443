"""What the store knows of a target, and the one job that looks where that is not fresh."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import redis.asyncio as aredis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from service.jobs.draft_encoding import entry_of
from service.jobs.lua.builder import Times
from service.jobs.lua.get_lookup import LookupReply, get_lookup
from service.jobs.lua.get_or_start_lookup import get_or_start_lookup
from service.jobs.lua.group_commit import GroupCommit
from service.jobs.lua.runner import Scripts
from service.jobs.model import JobDraft, derived_id
from service.lookups.targets import Target

#: Whoever asked is gone by then.
EXPIRES_MS: Final = 5 * 60 * 1000
#: Before every write that has not begun: somebody waits for it.
PRIORITY: Final = 9


@dataclass(frozen=True)
class Copy:
    """An answer of Instagram's.

    Parameters:
      body: The JSON, as it is told.
      etag: Names this content.
      age_ms: How old it is.
    """

    body: bytes
    etag: str
    age_ms: int


@dataclass(frozen=True)
class Shut:
    """Why no account can look.

    Parameters:
      reason: What stands in the way.
      seconds: Until it does no longer; None when a person is needed.
      since_ms: Since when a person has been, in unix ms; 0 where none is.
      until_ms: Until when; 0 when a person is needed.
    """

    reason: str
    seconds: float | None
    since_ms: int = 0
    until_ms: int = 0


@dataclass(frozen=True)
class Sight:
    """What is known of a target at a moment.

    Parameters:
      copy: The last answer, however old.
      problem: Why there is no newer one: `code`, `message`.
      job_id: The job that looks; None when none does.
      shut: Why none can.
      again_seconds: When it is worth asking again; 0 where that is not told.
    """

    copy: Copy | None
    problem: Mapping[str, Any] | None
    job_id: str | None = None
    shut: Shut | None = None
    again_seconds: float = 0.0


#: A store that takes no writes still tells what it has.
FULL: Final[Mapping[str, Any]] = {"code": "store_unavailable", "message": ""}


class Sights:
    """The ledger's side of look-ups. What is asked in one turn of the loop is one round trip.

    Parameters:
      client: The event loop's Redis client.
      times: With the limits that tell who may look.
      readers: Names of the accounts that look up.
      patience_ms: An account that may look only later than this is as good as none.
    """

    def __init__(
        self, client: aredis.Redis, times: Times, readers: Sequence[str], patience_ms: int
    ) -> None:
        scripts = Scripts(client, times)
        self._look = GroupCommit(scripts)
        self._see = GroupCommit(scripts)
        self._readers = " ".join(readers)
        self._patience = patience_ms

    async def close(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(self._look.close(), self._see.close())

    async def look(self, target: Target, fresh_ms: int, caller: str) -> Sight:
        """Tell what is known; where it is not fresh, see to it that one job looks.

        Parameters:
          target: What to look up.
          fresh_ms: How old an answer may be.
          caller: Name of the API key.

        Raises:
          redis.exceptions.RedisError: The store does not answer, or knows nothing and is full.
        """
        source = {"source": None, "event_id": None, "rule": None, "api_key": caller}
        job_id = derived_id("job", "lookup", str(target), uuid.uuid4().hex)
        entry = json.dumps(entry_of(job_id, _draft(target), source))
        try:
            call = get_or_start_lookup(str(target), fresh_ms, entry, self._readers, self._patience)
            reply = await self._look.run(call)
        except (OutOfMemoryError, ReadOnlyError):
            seen = await self.see(target)
            if seen.copy is None:
                raise
            return replace(seen, problem=FULL)
        return _sight(reply)

    async def see(self, target: Target) -> Sight:
        """Tell what is known and which job looks, and do nothing about it.

        Parameters:
          target: What is asked for.
        """
        return _sight(await self._see.run(get_lookup(str(target), self._patience)))


def _draft(target: Target) -> JobDraft:
    user = target.sort == "user"
    return JobDraft(
        kind="lookup",
        account="",
        to=target.recipient if user else None,
        post=None if user else target.name,
        text="",
        priority=PRIORITY,
        expires_ms=EXPIRES_MS,
    )


def _sight(reply: LookupReply) -> Sight:
    found = reply.found
    return Sight(
        copy=_copy(found, reply.now_ms),
        problem=json.loads(found[b"problem"]) if b"problem" in found else None,
        job_id=reply.job_id or None,
        shut=_shut(reply) if reply.blocked_by else None,
        again_seconds=reply.ask_again_ms / 1000,
    )


def _copy(fields: Mapping[bytes, bytes], now_ms: int) -> Copy | None:
    if b"body" not in fields:
        return None
    # Clocks may be set back; nothing is younger than new.
    age_ms = max(0, now_ms - int(fields[b"at"]))
    return Copy(fields[b"body"], fields[b"etag"].decode(), age_ms)


def _shut(reply: LookupReply) -> Shut:
    seconds = (reply.until_ms - reply.now_ms) / 1000 if reply.until_ms else None
    return Shut(reply.blocked_by, seconds, reply.since_ms, reply.until_ms)
