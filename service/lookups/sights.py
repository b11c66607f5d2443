"""What the store knows of a target, and the one job that looks where that is not fresh."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.ledger import entry_of
from service.jobs.model import JobDraft, derived_id
from service.jobs.scripts import Scripts, Times
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
      since_ms: Since when, in unix ms; 0 where that is not told.
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
    """

    copy: Copy | None
    problem: Mapping[str, Any] | None
    job_id: str | None = None
    shut: Shut | None = None


class Sights:
    """The ledger's side of look-ups.

    Parameters:
      client: The event loop's Redis client.
      times: With the limits that tell who may look.
      readers: Names of the accounts that look up.
    """

    def __init__(self, client: aredis.Redis, times: Times, readers: Sequence[str]) -> None:
        self._client = client
        self._scripts = Scripts(client, times)
        self._readers = " ".join(readers)

    async def look(self, target: Target, fresh_ms: int, patience_ms: int, caller: str) -> Sight:
        """Tell what is known; where it is not fresh, see to it that one job looks.

        Parameters:
          target: What to look up.
          fresh_ms: How old an answer may be.
          patience_ms: An account that may look only later than this is as good as none.
          caller: Name of the API key.
        """
        source = {"source": None, "event_id": None, "rule": None, "api_key": caller}
        job_id = derived_id("job", "lookup", str(target), uuid.uuid4().hex)
        reply = await self._scripts.run(
            "look",
            str(target),
            fresh_ms,
            json.dumps(entry_of(job_id, _draft(target), source)),
            self._readers,
            patience_ms,
        )
        return _sight(reply)

    async def known(self, target: Target) -> Sight:
        """Tell what is known, and do nothing about it."""
        pipe: Any = self._client.pipeline(transaction=False)
        pipe.hgetall(f"hg:found:{target}")
        pipe.time()
        found, (seconds, micros) = await cast("Awaitable[list[Any]]", pipe.execute())
        return _seen(found, seconds * 1000 + micros // 1000)


def _draft(target: Target) -> JobDraft:
    user = target.sort == "user"
    return JobDraft(
        kind="lookup",
        account="",
        to=target.name if user else None,
        post=None if user else target.name,
        text="",
        priority=PRIORITY,
        expires_ms=EXPIRES_MS,
    )


def _sight(reply: list[Any]) -> Sight:
    flat, job_id, why, until, since, now = reply
    seen = _seen(dict(zip(flat[::2], flat[1::2], strict=True)), int(now))
    shut = None
    if why:
        left = (int(until) - int(now)) / 1000 if int(until) else None
        shut = Shut(why.decode(), left, int(since), int(until))
    return Sight(seen.copy, seen.problem, job_id.decode() or None, shut)


def _seen(fields: Mapping[bytes, bytes], now_ms: int) -> Sight:
    copy = None
    if b"body" in fields:
        age_ms = max(0, now_ms - int(fields[b"at"]))
        copy = Copy(fields[b"body"], fields[b"etag"].decode(), age_ms)
    problem = json.loads(fields[b"problem"]) if b"problem" in fields else None
    return Sight(copy, problem)
