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

from service.jobs.draft_encoding import encode_draft
from service.jobs.lua.builder import Times
from service.jobs.lua.group_commit import GroupCommit
from service.jobs.lua.runner import Scripts
from service.jobs.model import JobDraft, derived_id
from service.lookups.targets import LookupTarget

#: Whoever asked is gone by then.
EXPIRES_MS: Final = 5 * 60 * 1000
#: Before every write that has not begun: somebody waits for it.
PRIORITY: Final = 9


@dataclass(frozen=True)
class CachedValue:
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
class Unavailable:
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
class LookupState:
    """What is known of a target at a moment.

    Parameters:
      copy: The last answer, however old.
      problem: Why there is no newer one: `code`, `message`.
      job_id: The job that looks; None when none does.
      shut: Why none can.
      again_seconds: When it is worth asking again; 0 where that is not told.
    """

    value: CachedValue | None
    problem: Mapping[str, Any] | None
    job_id: str | None = None
    unavailable: Unavailable | None = None
    retry_seconds: float = 0.0


#: A store that takes no writes still tells what it has.
STORE_FULL: Final[Mapping[str, Any]] = {"code": "store_unavailable", "message": ""}


class LookupCache:
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
        self._look = GroupCommit(scripts, scripts.script("get_or_start_lookup"))
        self._see = GroupCommit(scripts, scripts.script("get_lookup"))
        self._readers = " ".join(readers)
        self._patience = str(patience_ms)

    async def close(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(self._look.close(), self._see.close())

    async def get_or_start(self, target: LookupTarget, fresh_ms: int, caller: str) -> LookupState:
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
        entry = json.dumps(encode_draft(job_id, _draft(target), source))
        try:
            reply = await self._look.run(
                str(target), str(fresh_ms), entry, self._readers, self._patience
            )
        except (OutOfMemoryError, ReadOnlyError):
            seen = await self.get(target)
            if seen.value is None:
                raise
            return replace(seen, problem=STORE_FULL)
        return _state(reply)

    async def get(self, target: LookupTarget) -> LookupState:
        """Tell what is known and which job looks, and do nothing about it.

        Parameters:
          target: What is asked for.
        """
        return _state(await self._see.run(str(target), self._patience))


def _draft(target: LookupTarget) -> JobDraft:
    user = target.kind == "user"
    return JobDraft(
        kind="lookup",
        account="",
        to=target.recipient if user else None,
        post=None if user else target.name,
        text="",
        priority=PRIORITY,
        expires_ms=EXPIRES_MS,
    )


def _state(reply: list[Any]) -> LookupState:
    flat, job_id, why, until, since, again, now = reply
    fields: Mapping[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    return LookupState(
        value=_cached_value(fields, int(now)),
        problem=json.loads(fields[b"problem"]) if b"problem" in fields else None,
        job_id=job_id.decode() or None,
        unavailable=_unavailable(why.decode(), int(until), int(since), int(now)) if why else None,
        retry_seconds=int(again) / 1000,
    )


def _cached_value(fields: Mapping[bytes, bytes], now_ms: int) -> CachedValue | None:
    if b"body" not in fields:
        return None
    # Clocks may be set back; nothing is younger than new.
    age_ms = max(0, now_ms - int(fields[b"at"]))
    return CachedValue(fields[b"body"], fields[b"etag"].decode(), age_ms)


def _unavailable(why: str, until_ms: int, since_ms: int, now_ms: int) -> Unavailable:
    seconds = (until_ms - now_ms) / 1000 if until_ms else None
    return Unavailable(why, seconds, since_ms, until_ms)
