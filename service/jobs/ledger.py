"""The ledger: the sole owner of the job and event keys, and the only way to change them.

Every method is one script, so one atomic step and one round trip. This is the side of the door
(accept, create, cancel, retry) and of the calendar (forget, sweep); `claims.py` is the side of the
workers, `reading.py` reads.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import orjson
import redis.asyncio as aredis

from service.jobs.body_compression import BodyCompressor
from service.jobs.draft_encoding import dumps, encode_draft, encode_event_draft
from service.jobs.lua.accept_events import accept_events
from service.jobs.lua.add_event_jobs import add_event_jobs
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.cancel_job import CancelReply, cancel_job
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.create_job import create_job
from service.jobs.lua.group_commit import GroupCommit
from service.jobs.lua.preview_job import preview_job
from service.jobs.lua.prune import prune
from service.jobs.lua.retry_job import retry_job
from service.jobs.lua.runner import Scripts
from service.jobs.model import FINAL, JobDraft, Status, derived_id
from service.jobs.replies import Acceptance, Creation, Finding, Preview, RetryReply
from service.photos.photo import Photo

IDEMPOTENCY_MS: Final = 7 * 24 * 3600 * 1000
#: Records that one script call may drop: it holds up everybody else meanwhile.
PRUNE_BATCH: Final = 50
#: The same for what one call of the sweep looks at, and all calls of one run.
RESCUE_BATCH: Final = 100
RESCUE_LIMIT: Final = 10_000

#: Where the sweep looks: every state that is not final, the one that has time last.
UNENDED: Final = (
    *(f"hg:jobs:status:{status}" for status in Status if status not in {*FINAL, Status.SCHEDULED}),
    "hg:dlvs:status:pending",
    "hg:dlvs:status:delivering",
    f"hg:jobs:status:{Status.SCHEDULED}",
)
#: The same as `check_consistency` takes them.
UNENDED_INDEXES: Final = tuple(("index", index) for index in UNENDED)

_LIVEMODES: Final = {True: "true", False: "false", None: "null"}

EventStatus = Literal["accepted", "ignored", "quarantined"]


class Identified(Protocol):
    """What the ledger needs to know of an event."""

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
    """An authentic body that is no event, kept under its hash so that a person can look at it."""

    id: str
    type: str
    fingerprint: str
    livemode: bool | None = None

    @classmethod
    def of(cls, body: bytes, reason: str) -> QuarantinedEvent:
        """Name a body by its content.

        Parameters:
          body: The raw bytes.
          reason: Why it is no event, in a word.
        """
        digest = hashlib.sha256(body).hexdigest()
        return cls(id=f"quarantine_{digest[:32]}", type=reason, fingerprint=digest)


class Ledger:
    """Changes jobs and events.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._scripts = Scripts(client, script_config)
        self._accepting = GroupCommit(self._scripts)
        self._packer = BodyCompressor()

    async def close(self) -> None:
        """Let events end that are under way."""
        await self._accepting.close()

    async def accept(
        self,
        source: str,
        event: Identified,
        drafts: Sequence[JobDraft],
        *,
        body: bytes,
        status: EventStatus = "accepted",
        notes: Sequence[dict[str, Any]] = (),
    ) -> Acceptance:
        """Record an event with its jobs and their wake-ups, or find that it is known.

        Parameters:
          source: The source it came through.
          event: Its identity.
          drafts: What its rules ask for, at most one job a rule.
          body: The raw bytes, kept compressed for a while.
          status: `ignored` and `quarantined` events carry no jobs.
          notes: What each rule made of it, for people.
        """
        envelope = {
            "source": source,
            "id": event.id,
            "type": event.type,
            "fingerprint": event.fingerprint,
            "livemode": _LIVEMODES[event.livemode],
            "status": status,
            "notes": orjson.dumps(notes).decode(),
            "jobs": [encode_event_draft(source, event.id, draft) for draft in drafts],
        }
        packed = self._packer.compress(body)
        return await self._accepting.run(accept_events(orjson.dumps(envelope), packed))

    async def replay(
        self,
        source: str,
        event_id: str,
        drafts: Sequence[JobDraft],
        notes: Sequence[dict[str, Any]],
    ) -> list[str] | None:
        """Add the jobs of rules that had none for this event.

        Returns:
          All its job ids; None when the event is no longer remembered.
        """
        entries = [encode_event_draft(source, event_id, draft) for draft in drafts]
        event = f"{source}:{event_id}"
        return await self._scripts.run(add_event_jobs(event, dumps(entries), dumps(list(notes))))

    async def create(
        self, draft: JobDraft, *, caller: str, idempotency_key: str | None, request: str
    ) -> Creation:
        """Create a job that a caller asked for.

        Parameters:
          draft: The job.
          caller: Name of the API key; idempotency keys are per caller.
          idempotency_key: The caller's key, None for none.
          request: What two requests must share to be the same.
        """
        # The id is made here, so that a script whose reply was lost can be run again.
        job_id = (
            derived_id("job", "api", caller, idempotency_key, uuid.uuid4().hex)
            if idempotency_key
            else derived_id("job", "api", caller, uuid.uuid4().hex)
        )
        key = f"hg:idem:{derived_id('idem', caller, idempotency_key)}" if idempotency_key else ""
        source = {"source": None, "event_id": None, "rule": None, "api_key": caller}
        entry = dumps(encode_draft(job_id, draft, source))
        request_hash = hashlib.sha256(request.encode()).hexdigest()
        photo = draft.photo.jpeg if isinstance(draft.photo, Photo) else b""
        call = create_job(entry, key, request_hash, IDEMPOTENCY_MS, photo)
        return await self._scripts.run(call)

    async def preview(self, draft: JobDraft, *, caller: str, pk: str = "") -> Preview:
        """Tell what would become of a job, without making it.

        Parameters:
          draft: The job.
          caller: Name of the API key.
          pk: The recipient's, where it is known.
        """
        source = {"source": None, "event_id": None, "rule": draft.rule, "api_key": caller}
        entry = dumps(encode_draft("job_preview", draft, source))
        return await self._scripts.run(preview_job(entry, pk))

    async def cancel(self, job_id: str, who: str) -> CancelReply:
        """Cancel a job that has written nothing; a running one stops before its write."""
        return await self._scripts.run(cancel_job(job_id, who))

    async def retry(self, job_id: str, who: str) -> RetryReply:
        """Open the next run of a failed or uncertain job."""
        return await self._scripts.run(retry_job(job_id, who))

    async def prune(self) -> int:
        """Drop what has been remembered long enough.

        Returns:
          How many records were dropped.
        """
        dropped = 0
        while True:
            reply = await self._scripts.run(prune(PRUNE_BATCH))
            dropped += reply.dropped
            if reply.looked < PRUNE_BATCH:
                return dropped

    async def rescue_stranded(self, most: int = RESCUE_LIMIT) -> list[Finding]:
        """Find unended work that nothing would ever wake, and wake it.

        A run goes on where the last one stopped, and ends at the end of the round or when it has
        looked at enough.

        Parameters:
          most: The most to look at.

        Returns:
          What was found; anything at all is a defect worth a look.
        """
        found: list[Finding] = []
        left, done = most, False
        while left > 0 and not done:
            call = check_consistency("rescue", min(left, RESCUE_BATCH), *UNENDED_INDEXES)
            reply = await self._scripts.run(call)
            left, done = left - reply.checked, reply.done
            found += [Finding(each.id, each.problem) for each in reply.problems]
        return found
