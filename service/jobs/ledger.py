"""The ledger: changes jobs and events, whose keys nothing else may change.

Every call of a script is one atomic step and one round trip. This module has the operations of the
web tier (accept, create, cancel, retry) and of maintenance (prune, rescue); `claims` has those of
the workers, and `queries` reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis.asyncio as aredis
from redis.exceptions import RedisError

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.api_creation import ApiCreation
from service.jobs.body_compression import BodyCompressor
from service.jobs.consistency_problems import Defect
from service.jobs.draft_encoding import (
    dumps,
    encode_draft,
    encode_event_draft,
    encrypt_text,
)
from service.jobs.event_encoding import EventIdentity, EventStatus, encode_event
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.lua.accept_events import accept_events
from service.jobs.lua.add_event_jobs import AddedJobs, add_event_jobs
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.cancel_job import CancelReply, cancel_job
from service.jobs.lua.group_commit import GroupCommit
from service.jobs.lua.list_plain_names import list_plain_names
from service.jobs.lua.preview_job import preview_job
from service.jobs.lua.prune import prune
from service.jobs.lua.retry_job import retry_job
from service.jobs.lua.runner import Scripts
from service.jobs.lua.settle_job import SettleReply, settle_job
from service.jobs.model import (
    ONLY_BY_ID,
    SETTLED,
    JobDraft,
    Recognition,
    SettledAs,
    derived_id,
)
from service.jobs.prepared_replay import PreparedReplay
from service.jobs.replies import Acceptance, Creation, Preview, RetryReply
from service.jobs.rescue import RESCUE_LIMIT, rescue_stranded
from service.jobs.unfinished_events import finish_event
from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS

_log = get_logger(__name__)

#: Records pruned per script call, which blocks the store meanwhile.
PRUNE_BATCH: Final = 50


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


class Ledger:
    """Changes jobs and events.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
      cipher: Encrypts bodies, texts and photos.
      mark: The process' high-water mark; by default, one of its own.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        cipher: Cipher,
        mark: HighWaterMark | None = None,
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._client = client
        self._mark = mark or HighWaterMark("web")
        self._group_commit = GroupCommit(self._scripts, self._mark)
        self._compressor = BodyCompressor()
        self._person_keys = script_config.person_keys
        self._cipher = cipher

    async def close(self) -> None:
        """Wait for the events that are being accepted, and withdraw the process' mark."""
        await self._group_commit.close()
        with suppress(RedisError):
            await self._client.hset("hg:marks", self._mark.process, self._mark.withdrawn)

    async def accept(
        self,
        source: str,
        event: EventIdentity,
        drafts: Sequence[JobDraft],
        *,
        body: bytes,
        status: EventStatus = "accepted",
        notes: Sequence[dict[str, Any]] = (),
        recognition: Recognition = ONLY_BY_ID,
    ) -> Acceptance:
        """Store an event with its jobs and their wake-ups, or report it as known.

        All jobs are recorded in one step. Where they are many, most are created in further steps.

        Parameters:
          drafts: The jobs that its rules create, at most one per rule.
          body: The raw bytes, stored compressed and encrypted for the retention of bodies.
          status: The event's status; `ignored` and `quarantined` events have no jobs.
          notes: The result of each rule, for people.
          recognition: How to find the event if it is stored under another id or in another shape.
        """
        entries = self.event_entries(source, event.id, drafts)
        tombstones = self._person_keys.tombstones
        envelope = encode_event(source, event, entries, status, notes, recognition, tombstones)
        packed = self._compressor.compress(body)
        if self._cipher.enabled:
            envelope["encrypted"] = True
            place = places.event_body(source, event.id, event.fingerprint)
            packed = self._cipher.encrypt(packed, place)
        call = accept_events(orjson.dumps(envelope), packed)
        while True:
            reply = await self._group_commit.run(call, len(envelope["jobs"]))
            if reply.deferred:
                await self._finish_event(f"{source}:{reply.event_id}", reply.acceptance is not None)
            if reply.acceptance is not None:
                return reply.acceptance

    async def _finish_event(self, event: str, accepted: bool) -> None:
        """Create the jobs of an event that were too many for the step that accepted it.

        Parameters:
          event: The event (source:id).
          accepted: Whether the caller has all that it needs; then a heartbeat creates the jobs
            where this fails, for they are recorded.
        """
        try:
            await finish_event(self._scripts, event)
        except REDIS_ERRORS as error:
            if not accepted:
                raise
            _log.warning("jobs of an event left to a heartbeat", error=type(error).__name__)

    def event_entries(
        self, source: str, event_id: str, drafts: Sequence[JobDraft]
    ) -> list[dict[str, Any]]:
        """The jobs of an event as the scripts read them, with encrypted texts."""
        keys = self._person_keys
        entries = (encode_event_draft(source, event_id, draft, keys) for draft in drafts)
        return [encrypt_text(entry, self._cipher) for entry in entries]

    async def replay(
        self,
        source: str,
        event_id: str,
        drafts: Sequence[JobDraft],
        notes: Sequence[dict[str, Any]],
        *,
        by: str = "person",
        address: str = "",
    ) -> AddedJobs | None:
        """Add the jobs of rules that have none for this event yet, and fill in the rejected.

        Parameters:
          by: Who asks for it, for the audit log and the timelines of the jobs.
          address: Where that came from.

        Returns:
          What was done; None if the event is not stored any more.
        """
        prepared = await self.prepare_replay(source, event_id, drafts, by=by)
        added = AddedJobs([], [], [])
        for at, some in enumerate(prepared.slices):
            # One act, however many steps it takes.
            act = (by, address, int(at > 0), prepared.reference)
            step = await self._scripts.run(
                add_event_jobs(
                    prepared.event, some.entries, dumps(list(notes)), *act, prepared.new_names
                )
            )
            if step is None:
                return None
            created, replaced = added.created + step.created, added.replaced + step.replaced
            added = AddedJobs(step.jobs, created, replaced)
        return added

    async def prepare_replay(
        self, source: str, event_id: str, drafts: Sequence[JobDraft], *, by: str
    ) -> PreparedReplay:
        """Encode the jobs of a replay, after all earlier jobs of the event were created.

        Parameters:
          by: Who asks for it, for the timelines of the jobs.
        """
        entries = [{**each, "by": by} for each in self.event_entries(source, event_id, drafts)]
        event = f"{source}:{event_id}"
        await finish_event(self._scripts, event)
        [known] = await self._scripts.run(list_plain_names(event))
        new_names = self._person_keys.tombstones.new_names(known)
        return PreparedReplay.of(source, event_id, entries, new_names)

    async def create(
        self, draft: JobDraft, *, caller: str, idempotency_key: str | None, request: str
    ) -> Creation:
        """Create a job for an API caller.

        Parameters:
          caller: Name of the API key; idempotency keys are per caller.
          request: Text that is equal for two requests exactly if they ask for the same.
        """
        return await self._scripts.run(self._creation(draft, caller, idempotency_key, request))

    async def create_all(
        self, requests: Sequence[tuple[JobDraft, str | None, str]], *, caller: str
    ) -> list[Creation | Exception]:
        """Create jobs in one round trip, each in a step of its own.

        Parameters:
          requests: For each its draft, idempotency key and request, as in `create`.
          caller: Name of the API key.

        Returns:
          What became of each; an error of the store is that job's alone.
        """
        calls = [self._creation(draft, caller, key, text) for draft, key, text in requests]
        return await self._scripts.run_all(calls)

    def _creation(
        self, draft: JobDraft, caller: str, idempotency_key: str | None, request: str
    ) -> ScriptCall[Creation]:
        # The id is chosen here, so that a script whose reply was lost can be run again.
        job_id = derived_id("job", "api", caller, uuid.uuid4().hex)
        creation = ApiCreation(job_id, draft, caller, idempotency_key, request)
        return creation.call(self._person_keys, self._cipher)

    async def preview(self, draft: JobDraft, *, caller: str, pk: str = "") -> Preview:
        """Tell what would happen to a job now, without creating it.

        Parameters:
          caller: Name of the API key.
          pk: The recipient's pk, if known.
        """
        source = {"source": None, "event_id": None, "rule": draft.rule, "api_key": caller}
        pk_keys = " ".join(self._person_keys.all_keys(f"pk:{pk}")) if pk else ""
        entry = dumps(encode_draft("job_preview", draft, source, self._person_keys))
        return await self._scripts.run(preview_job(entry, pk, pk_keys))

    async def cancel(self, job_id: str, by: str, address: str = "") -> CancelReply:
        """Cancel a job that has written nothing; a running one stops before its write."""
        return await self._scripts.run(cancel_job(job_id, by, address))

    async def retry(self, job_id: str, by: str, address: str = "") -> RetryReply:
        """Open the next run of a failed or uncertain job."""
        return await self._scripts.run(retry_job(job_id, by, address))

    async def settle(
        self, job_id: str, settled_as: SettledAs, by: str, address: str = "", *, note: str | None
    ) -> SettleReply:
        """End an uncertain job in the way that a person says its write went."""
        call = settle_job(job_id, str(SETTLED[settled_as]), by, address, json.dumps(note))
        return await self._scripts.run(call)

    async def prune(self) -> int:
        """Delete records whose retention has ended; returns how many."""
        pruned = 0
        while True:
            began_at = time.monotonic()
            reply = await self._scripts.run(prune(PRUNE_BATCH))
            pruned += reply.dropped
            if reply.looked < PRUNE_BATCH:
                return pruned
            # A long time without retention leaves much: others have half of the store meanwhile.
            await asyncio.sleep(time.monotonic() - began_at)

    async def rescue_stranded(self, limit: int = RESCUE_LIMIT) -> list[Defect]:
        """Wake unfinished work that nothing would ever wake (rescue.py)."""
        return await rescue_stranded(self._scripts, limit)
