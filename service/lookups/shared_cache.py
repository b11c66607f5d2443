"""Lookup results shared through Redis, and the one job per target that refreshes them."""

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
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.get_lookup import LookupReply, get_lookup
from service.jobs.lua.get_or_start_lookup import get_or_start_lookup
from service.jobs.lua.group_commit import GroupCommit
from service.jobs.lua.runner import Scripts
from service.jobs.model import JobDraft, derived_id
from service.lookups.targets import LookupTarget

#: Callers have given up by then.
EXPIRES_MS: Final = 5 * 60 * 1000
#: Ahead of every write that has not started: a caller is waiting.
PRIORITY: Final = 9
#: A lookup takes Redis as long as so many jobs of events: an account is chosen for it.
_JOBS_WORTH: Final = 2


@dataclass(frozen=True)
class CachedValue:
    """What Instagram answered.

    Parameters:
      body: JSON, as the API returns it.
      etag: Identifies this content.
      age_ms: Its age.
    """

    body: bytes
    etag: str
    age_ms: int


@dataclass(frozen=True)
class Unavailable:
    """Why no account can look anything up now.

    Parameters:
      reason: What prevents it, as in `wait.reason`.
      seconds: How long it lasts; None when a person must act.
      since_ms: Unix ms since when a person must act; 0 otherwise.
      until_ms: Unix ms when it ends; 0 when a person must act.
    """

    reason: str
    seconds: float | None
    since_ms: int = 0
    until_ms: int = 0


@dataclass(frozen=True)
class LookupState:
    """What is known of a target at one moment.

    Parameters:
      value: The last answer, however old.
      problem: Why there is no newer one: `code`, `message`.
      job_id: The lookup job under way, if any.
      unavailable: Why there can be none.
      retry_seconds: When to ask again; 0 when unknown.
    """

    value: CachedValue | None
    problem: Mapping[str, Any] | None
    job_id: str | None = None
    unavailable: Unavailable | None = None
    retry_seconds: float = 0.0


#: A full or read-only Redis still serves what it has.
STORE_FULL: Final[Mapping[str, Any]] = {"code": "store_unavailable", "message": ""}


class LookupCache:
    """The lookup cache in Redis. All calls of one turn of the event loop share one round trip.

    Parameters:
      client: The event loop's Redis client.
      script_config: Contains the limits that decide which account may look up.
      accounts: Names of the accounts that may look up.
      patience_ms: An account that can look up only later than this counts as unavailable.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        accounts: Sequence[str],
        patience_ms: int,
    ) -> None:
        scripts = Scripts(client, script_config)
        self._get_or_start = GroupCommit(scripts)
        self._get = GroupCommit(scripts)
        self._accounts = " ".join(accounts)
        self._patience = patience_ms
        self._person_keys = script_config.person_keys

    async def close(self) -> None:
        """Let calls in flight finish."""
        await asyncio.gather(self._get_or_start.close(), self._get.close())

    async def get_or_start(self, target: LookupTarget, fresh_ms: int, caller: str) -> LookupState:
        """Read what is known; if it is not fresh, make sure that one lookup job is under way.

        Parameters:
          target: What to look up.
          fresh_ms: How old an answer may be.
          caller: Name of the API key.

        Raises:
          redis.exceptions.RedisError: Redis does not answer, or it is full and knows nothing.
        """
        source = {"source": None, "event_id": None, "rule": None, "api_key": caller}
        job_id = derived_id("job", "lookup", str(target), uuid.uuid4().hex)
        entry = json.dumps(encode_draft(job_id, _draft(target), source, self._person_keys))
        try:
            call = get_or_start_lookup(str(target), fresh_ms, entry, self._accounts, self._patience)
            reply = await self._get_or_start.run(call, _JOBS_WORTH)
        except (OutOfMemoryError, ReadOnlyError):
            state = await self.get(target)
            if state.value is None:
                raise
            return replace(state, problem=STORE_FULL)
        return _state(reply)

    async def get(self, target: LookupTarget) -> LookupState:
        """Read what is known, and start nothing."""
        return _state(await self._get.run(get_lookup(str(target), self._patience)))


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


def _state(reply: LookupReply) -> LookupState:
    found = reply.found
    return LookupState(
        value=_cached_value(found, reply.now_ms),
        problem=json.loads(found[b"problem"]) if b"problem" in found else None,
        job_id=reply.job_id or None,
        unavailable=_unavailable(reply) if reply.blocked_by else None,
        retry_seconds=reply.ask_again_ms / 1000,
    )


def _cached_value(fields: Mapping[bytes, bytes], now_ms: int) -> CachedValue | None:
    if b"body" not in fields:
        return None
    # The clock may have been set back: no value has a negative age.
    age_ms = max(0, now_ms - int(fields[b"at"]))
    return CachedValue(fields[b"body"], fields[b"etag"].decode(), age_ms)


def _unavailable(reply: LookupReply) -> Unavailable:
    seconds = (reply.until_ms - reply.now_ms) / 1000 if reply.until_ms else None
    return Unavailable(reply.blocked_by, seconds, reply.since_ms, reply.until_ms)
