"""The workers' side of the ledger: claim, intent, finish, release. Each is one script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import redis.asyncio as aredis

from service.jobs.lua.append_follower_page import FollowerPageReply, append_follower_page
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_job import claim_job
from service.jobs.lua.finish_job import FinishReply, finish_job
from service.jobs.lua.record_intent import IntentReply, record_intent
from service.jobs.lua.release_job import Charge, ReleaseReply, release_job
from service.jobs.lua.runner import Scripts
from service.jobs.model import Failure, Status
from service.jobs.records import JobRecord

Thread = Literal["old", "new", ""]
Escalation = Literal["double", "widen"]
ReleaseStatus = Literal[Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING]


@dataclass(frozen=True)
class Claim:
    """A job that is ours for as long as the lease is renewed.

    Parameters:
      job: The job as it was when claimed.
      text: Its text.
      owner: Who holds it, unique to this claim.
      fence: Grows with each claim; the scripts refuse an older one.
      claimed_ms: When it was claimed, by Redis' clock.
    """

    job: JobRecord
    text: str = field(repr=False)
    owner: str
    fence: int
    claimed_ms: int

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def verify_first(self) -> bool:
        """Whether a write may have happened: it must be looked for before anything is sent."""
        return self.job.status is Status.SENDING


@dataclass(frozen=True)
class AccountEffect:
    """What an error means for the whole account.

    Parameters:
      hold: A person is needed, and why.
      cool: Nothing of `kind` is done for `cool_ms`, and why.
      kind: `dm`, `comment` or `*` for everything.
      cool_ms: How long.
      again: What becomes of it when the last one was lately: `double` is twice as long, up to a
        day; `widen` is for every kind and three days.
    """

    hold: str | None = None
    cooldown: str | None = None
    kind: str = "*"
    cooldown_ms: int = 0
    escalation: Escalation | None = None

    def as_json(self) -> str:
        """The effect as `release_job.lua` reads it."""
        if self.hold is not None:
            return json.dumps({"hold": self.hold})
        if self.cooldown is not None:
            effect = {"cool": self.cooldown, "kind": self.kind, "ms": self.cooldown_ms}
            return json.dumps(effect | ({"again": self.escalation} if self.escalation else {}))
        return "{}"


NO_EFFECT = AccountEffect()


@dataclass(frozen=True)
class RowBatch:
    """Some rows of a walk, as they are kept.

    Parameters:
      pks: Whose they are, in order.
      packed: The rows.
    """

    pks: tuple[str, ...]
    packed: bytes


@dataclass(frozen=True)
class FollowerPage:
    """What a claim of a walk has read.

    Parameters:
      pk: Whose crowd it is.
      expected: How many rows there may be in all.
      parcels: The rows that are new to the walk.
      cursor: Where the next page begins; '' at the end.
      last: Whether nothing follows.
    """

    pk: str
    expected: int
    batches: Sequence[RowBatch] = ()
    cursor: str = ""
    last: bool = False


class Claims:
    """Works on jobs.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      scripts: What runs the scripts, where that is not the client alone.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, scripts: Scripts | None = None
    ) -> None:
        self._scripts = scripts or Scripts(client, script_config)

    async def claim(self, job_id: str, owner: str) -> Claim | None:
        """Take a job and its account's turn.

        Parameters:
          job_id: The job.
          owner: Unique to this claim.

        Returns:
          The claim, or None when there is nothing to do now: whatever must happen is arranged.
        """
        claimed = await self._scripts.run(claim_job(job_id, owner))
        if claimed is None:
            return None
        job = JobRecord.of(job_id, claimed.fields)
        return Claim(job, claimed.text, owner, claimed.fence, claimed.now_ms)

    async def record_intent(
        self,
        claim: Claim,
        *,
        pk: str,
        context: str,
        thread: Thread = "",
        username: str = "",
        reads: int = 0,
    ) -> IntentReply:
        """Charge the write and record that it is about to happen; only after `ok` may it be sent.

        Parameters:
          claim: The claim.
          pk: The recipient's or the post's pk.
          context: What the write can be recognised by later.
          thread: Whether a DM goes into a thread that exists; '' where that was not looked up.
          username: The recipient's, where it is known.
          reads: How many calls found that out.

        Returns:
          `ok`; `ask` when it must be looked up whether the thread exists; otherwise what has
          become of the job instead.
        """
        facts = json.dumps({"thread": thread, "username": username, "reads": reads})
        call = record_intent(claim.id, claim.owner, claim.fence, pk, context, facts)
        return await self._scripts.run(call)

    async def finish(
        self,
        claim: Claim,
        status: Status,
        *,
        result: Mapping[str, Any] | None = None,
        failure: Failure | None = None,
        why: str = "",
        written: str = "",
        reads: int = 0,
    ) -> FinishReply:
        """End the job, recording its delivery in the same step.

        Parameters:
          claim: The claim.
          status: A final one.
          result: What it left behind.
          failure: Why it did not do what it was for.
          why: A word for its timeline.
          written: What its write is known by at Instagram, where another job's could be taken
            for it (a comment's id); '' elsewhere.
          reads: How many calls served the job since its last step.

        Returns:
          `ok`; `lost` when the claim no longer held; `taken` when `written` is another job's.
          Only `ok` changed anything.
        """
        call = finish_job(
            claim.id,
            claim.owner,
            claim.fence,
            status=str(status),
            result="" if result is None else _dumps(dict(result)),
            failure="" if failure is None else _dumps(asdict(failure)),
            why=why,
            written=written,
            reads=reads,
        )
        return await self._scripts.run(call)

    async def release(
        self,
        claim: Claim,
        to: ReleaseStatus,
        reason: str,
        *,
        after_ms: int = 0,
        charge: Charge = "counts",
        effect: AccountEffect = NO_EFFECT,
        reads: int = 0,
        sent: bool = True,
    ) -> ReleaseReply:
        """Give the job back unfinished.

        Parameters:
          claim: The claim.
          to: Where it goes. Out of `sending` only when the write is known not to have happened;
            to `sending` when that is not known.
          reason: A word for its wait and its timeline.
          after_ms: From now until it is tried again.
          charge: `counts`: it was an attempt, or (to `sending`) a look-up that found nothing;
            `failed`: a look-up that could not be made; `free`: it was not the job's doing.
          effect: What it means for the account.
          reads: How many calls served the job since its last step.
          sent: False when its write certainly never left: its budget is given back.
        """
        call = release_job(
            claim.id,
            claim.owner,
            claim.fence,
            to=str(to),
            reason=reason,
            delay=after_ms,
            charge=charge,
            effect=effect.as_json(),
            reads=reads,
            sent="sent" if sent else "unsent",
        )
        return await self._scripts.run(call)

    async def append_follower_page(
        self, claim: Claim, found: FollowerPage, *, reads: int = 0
    ) -> FollowerPageReply:
        """Take a page of a walk in; the walk goes on behind it, or ends.

        Parameters:
          claim: The claim.
          found: What was read.
          reads: How many calls served the job besides the one charged with the claim.

        Returns:
          `more`; what the walk has become instead; `lost` when the claim no longer held: then
          nothing changed. A page that is given again is told the same and not taken in twice.

        Raises:
          OutOfMemoryError: The store is full; nothing changed.
        """
        call = append_follower_page(
            claim.id,
            claim.owner,
            claim.fence,
            reads,
            found.pk,
            found.expected,
            found.cursor,
            "last" if found.last else "more",
            *((batch.packed, batch.pks) for batch in found.batches),
        )
        return await self._scripts.run(call)


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
