"""The workers' side of the ledger: claim, record intent, finish, release; one script each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import redis.asyncio as aredis

from service.encryption.cipher import Cipher, Unreadable
from service.jobs.account_effect import NO_EFFECT, AccountEffect
from service.jobs.follower_page import FollowerPage
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.job_text import read_text
from service.jobs.lua.append_follower_page import FollowerPageReply, append_follower_page
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.claim_job import ClaimedJob, claim_job
from service.jobs.lua.finish_job import FinishReply, finish_job
from service.jobs.lua.record_intent import IntentReply, record_intent
from service.jobs.lua.release_job import Charge, ReleaseReply, release_job
from service.jobs.lua.runner import Scripts
from service.jobs.model import Failure, Status
from service.jobs.person_keys import names_shown
from service.jobs.records import JobRecord
from service.jobs.verification_report import VerificationReport

Thread = Literal["old", "new", ""]
ReleaseStatus = Literal[Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING]


@dataclass(frozen=True)
class Claim:
    """A job claimed by this worker, for as long as its lease is renewed.

    Parameters:
      job: The job's record when it was claimed.
      readable_text: The job's text; None if it cannot be decrypted.
      owner: Unique to this claim.
      fence: Increases with each claim; the scripts reject an older one.
      claimed_ms: When it was claimed, Unix milliseconds on Redis' clock.
    """

    job: JobRecord
    readable_text: str | None = field(repr=False)
    owner: str
    fence: int
    claimed_ms: int

    @classmethod
    def of(cls, job_id: str, owner: str, claimed: ClaimedJob, cipher: Cipher) -> Claim:
        """Read a script's reply."""
        job = JobRecord.of(job_id, claimed.fields)
        text: str | None = None
        with suppress(Unreadable):
            text = read_text(job_id, claimed.fields, claimed.text, cipher)
        return cls(job, text, owner, claimed.fence, claimed.now_ms)

    @property
    def text(self) -> str:
        """The job's text, or the URL of its photo.

        Raises:
          Unreadable: It cannot be decrypted.
        """
        self.check_readable()
        return self.readable_text or ""

    def check_readable(self) -> None:
        """Make sure that the text could be decrypted.

        Raises:
          Unreadable: It could not.
        """
        if self.readable_text is None:
            raise Unreadable(f"the text of {self.id} cannot be decrypted")

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def verify_first(self) -> bool:
        """Whether a write may have happened, which must be verified before anything is sent."""
        return self.job.status is Status.SENDING

    @property
    def look_first(self) -> bool:
        """Whether that is because of lost history: most likely nothing was written."""
        return self.job.doubt == "history"


class Claims:
    """Claims jobs, and records what became of them.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
      cipher: Decrypts the texts.
      scripts: Runs the scripts; by default, over the client.
      mark: The process' high-water mark; by default, one of its own.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        cipher: Cipher,
        scripts: Scripts | None = None,
        mark: HighWaterMark | None = None,
    ) -> None:
        self._cipher = cipher
        self._scripts = scripts or Scripts(client, script_config)
        self._person_keys = script_config.person_keys
        self._mark = mark or HighWaterMark("worker")

    async def claim(self, job_id: str, owner: str) -> Claim | None:
        """Claim a job and its account's turn, for an owner that is unique to this claim.

        Returns:
          The claim; None if the job cannot run now. Then its next wake-up is already scheduled.
        """
        claimed = await self._scripts.run(claim_job(job_id, owner))
        return None if claimed is None else Claim.of(job_id, owner, claimed, self._cipher)

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
        """Charge a write and record the intent to send it; only after `ok` may it be sent.

        Parameters:
          pk: The recipient's or the post's pk.
          context: Identifies the write when it is verified later.
          thread: Whether the DM's thread exists (`old`) or not (`new`); '' if not known.
          username: The recipient's username, if known.
          reads: API calls made to find this out.

        Returns:
          `ok`; `ask` if the caller must find out whether the thread exists; otherwise the job's
          new status.
        """
        found = {"thread": thread, "username": username, "reads": reads}
        facts = json.dumps(found | self._person_keys.of_claim(claim.job, pk, username))
        raised = self._mark.next_raise()
        call = record_intent(claim.id, claim.owner, claim.fence, pk, context, facts, *raised)
        reply = await self._scripts.run(call)
        self._mark.confirm(raised)
        return reply

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
        verification: VerificationReport | None = None,
    ) -> FinishReply:
        """End a job, and create its delivery in the same step.

        Parameters:
          status: The final status.
          why: Reason for the timeline, a word or two.
          written: Instagram's id of the write, if it could be mistaken for another job's (a
            comment's id); else ''.
          reads: API calls made for the job since its last step.
          verification: What a verification of its write has read, if one was made.

        Returns:
          `ok`; `lost` if the claim is no longer valid; `taken` if `written` belongs to another
          job. Only `ok` changed anything.
        """
        shown = names_shown(result) if result and claim.job.kind == "lookup" else ()
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
            who=self._person_keys.join(shown),
            seen="" if verification is None else verification.encode(),
        )
        return await self._scripts.run(call)

    async def release(  # noqa: PLR0913 - what a release may have to record
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
        verification: VerificationReport | None = None,
    ) -> ReleaseReply:
        """Release a job unfinished.

        Parameters:
          to: Its new status. Out of `sending` only if the write is known not to have happened; to
            `sending` if that is unknown.
          reason: Reason for its wait and the timeline, a word or two.
          after_ms: Milliseconds until it is tried again.
          charge: `counts`: an attempt, or (to `sending`) a verification that found nothing;
            `failed`: a verification that could not be made; `free`: not the job's fault.
          effect: On the account.
          reads: API calls made for the job since its last step.
          sent: False if the write was certainly not sent: its budget is refunded.
          verification: What a verification of its write has read, if one was made.

        Returns:
          `ok`; `lost` if the claim is no longer valid; `ended` if the job was canceled or expired
          instead.
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
            seen="" if verification is None else verification.encode(),
        )
        return await self._scripts.run(call)

    async def append_follower_page(
        self, claim: Claim, page: FollowerPage, *, reads: int = 0
    ) -> FollowerPageReply:
        """Store a page of a follower export, which continues after it or ends.

        Parameters:
          reads: API calls made for the job besides the one charged with the claim.

        Returns:
          `more`; the job's final status if it ended, with a result that tells whether it has the
          whole list; `lost` if the claim is no longer valid, and nothing changed. Appending a page
          again gives the same reply and stores nothing.

        Raises:
          OutOfMemoryError: The store is full; nothing changed.
        """
        facts = {
            "expected": page.expected,
            "left": page.remainder,
            "dropped": page.dropped,
            "limited": page.limited,
            "who": self._person_keys.missing(claim.job, page.pk),
        }
        call = append_follower_page(
            claim.id,
            claim.owner,
            claim.fence,
            reads,
            page.pk,
            page.cursor,
            _dumps(facts),
            *((batch.packed, batch.pks) for batch in page.batches),
        )
        return await self._scripts.run(call)


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
