"""The ledger over a real store, for synchronous tests, with a clock that can be moved."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from service.accounts.controls import AccountControls
from service.deliveries.store import Deliveries, DeliveryClaim
from service.encryption.cipher import Cipher
from service.jobs.account_effect import NO_EFFECT, AccountEffect
from service.jobs.actor_routes import NAMESPACE
from service.jobs.claims import Claim, Claims, Thread
from service.jobs.event_encoding import EventIdentity, EventStatus
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.job_finder import JobFinder
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.heartbeat import heartbeat
from service.jobs.lua.record_intent import IntentReply
from service.jobs.lua.release_job import Charge, ReleaseReply
from service.jobs.lua.runner import SyncScripts
from service.jobs.model import Failure, JobDraft, Status
from service.jobs.person_keys import PersonKeys
from service.jobs.photo_store import PhotoStore
from service.jobs.queries import JobQueries
from service.jobs.records import JobRecord
from service.jobs.replies import Acceptance
from service.jobs.rescue import UNFINISHED_INDEXES
from service.photos.photo import Photo
from service.redis.client import async_client
from tests.support.encryption import CIPHER, SECRET_KEY
from tests.support.time_travel import pass_time

SECOND = 1_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

PERSON_KEYS = PersonKeys((SECRET_KEY,))
TIMES = ScriptConfig(
    lease=10 * SECOND,
    settle=5 * SECOND,
    keep=40 * DAY,
    keep_bodies=7 * DAY,
    person_keys=PERSON_KEYS,
)
RESULT = {"message_id": "m1", "thread_id": "t1", "client_context": "c1"}
FAILURE = Failure("refused", "Instagram refused it.")

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """An event's identity, as the ledger needs it."""

    id: str
    type: str = "checkout.session.completed"
    livemode: bool | None = False
    fingerprint: str = "f" * 64


def draft(**changes: Any) -> JobDraft:
    """The draft of a rule's DM.

    Parameters:
      changes: Fields to change.
    """
    usual: dict[str, Any] = {
        "kind": "dm",
        "account": "shop",
        "to": "some.handle",
        "post": None,
        "text": "Thank you!",
        "rule": "thank-you",
        "callback": "crm",
    }
    return JobDraft(**usual | changes)


class LedgerHarness:
    """The ledger's classes over one store, run on one loop.

    Parameters:
      url: The store's URL.
      runner: Runs one call at a time.
      script_config: Leases and retention.
      cipher: Encrypts bodies, texts and photos.
      first_event: The number of the first event that it makes up.
    """

    def __init__(
        self,
        url: str,
        runner: asyncio.Runner,
        script_config: ScriptConfig = TIMES,
        cipher: Cipher = CIPHER,
        first_event: int = 1,
    ) -> None:
        self._runner = runner
        self._numbers = itertools.count(first_event)
        self.script_config = script_config
        self.store = redis.Redis.from_url(url)
        self.client = async_client(url, max_connections=20, wait_seconds=60)
        self.mark = HighWaterMark("worker")
        self.durable = True
        self.core = Ledger(self.client, script_config, cipher, self.mark)
        self.claims = Claims(self.client, script_config, cipher, mark=self.mark)
        self.photos = PhotoStore(self.client, script_config, cipher)
        self.deliveries = Deliveries(self.client, script_config)
        self.queries = JobQueries(self.client, script_config, cipher)
        self.finder = JobFinder(self.client, script_config, self.queries)
        self.controls = AccountControls(self.client, script_config)
        self.scripts = SyncScripts(self.store, script_config)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run one call on the loop."""
        return self._runner.run(step)

    def close(self) -> None:
        """Close every connection."""
        self.run(self.client.aclose())
        self.store.close()

    # -- web

    def accept(
        self,
        event: EventIdentity,
        *drafts: JobDraft,
        source: str = "stripe",
        body: bytes = b"{}",
        status: EventStatus = "accepted",
        notes: Sequence[dict[str, Any]] = (),
    ) -> Acceptance:
        """Accept one event with the jobs of its rules."""
        step = self.core.accept(source, event, drafts, body=body, status=status, notes=notes)
        return self.run(step)

    def add_job(self, **changes: Any) -> str:
        """Accept a new event with one job; return the job's id."""
        event = Event(f"evt_auto_{next(self._numbers)}")
        return self.accept(event, draft(**changes)).jobs[0]

    def add_jobs(self, count: int, *, apart: bool = False, **changes: Any) -> list[str]:
        """Accept new events with one job each, in large batches; return the ids, oldest first.

        Parameters:
          count: How many.
          apart: Give each job an account of its own, so that none waits for a turn.
          changes: Fields of the drafts to change.
        """

        async def one(number: int) -> str:
            own = {"account": f"account-{number}"} if apart else {}
            wanted = draft(**changes | own)
            event = Event(f"evt_many_{number}")
            return (await self.core.accept("stripe", event, [wanted], body=b"{}")).jobs[0]

        async def all_of_them() -> list[str]:
            made: list[str] = []
            while len(made) < count:
                batch = range(min(1_000, count - len(made)))
                made += await asyncio.gather(*(one(next(self._numbers)) for _ in batch))
            return made

        made = self.run(all_of_them())
        return sorted(made, key=lambda job_id: self.store.zscore("hg:jobs", job_id) or 0)

    # -- worker

    def try_claim(self, job_id: str, owner: str = "worker") -> Claim | None:
        """Claim a job; None if there is nothing to do."""
        return self.run(self.claims.claim(job_id, owner))

    def claim(self, job_id: str, owner: str = "worker") -> Claim:
        """Claim a job that must be claimable."""
        claim = self.try_claim(job_id, owner)
        assert claim is not None
        return claim

    def claim_fetch(self, job_id: str, owner: str = "fetcher") -> Claim | None:
        """Claim a job to fetch its photo; None if that is not to be fetched."""
        return self.run(self.photos.claim_fetch(job_id, owner))

    def store_photo(self, claim: Claim, photo: Photo) -> bool:
        """Store a photo that was fetched; whether the claim was valid."""
        return self.run(self.photos.save(claim, photo))

    def record_intent(
        self, claim: Claim, *, pk: str = "314159", thread: Thread = "old", reads: int = 0
    ) -> IntentReply:
        """Record the intent of a claim's write."""
        step = self.claims.record_intent(claim, pk=pk, context="token", thread=thread, reads=reads)
        return self.run(step)

    def claim_and_send(self, job_id: str, owner: str = "worker") -> Claim:
        """Claim a job and record its intent."""
        claim = self.claim(job_id, owner)
        assert self.record_intent(claim) == "ok"
        return claim

    def finish(self, claim: Claim, status: Status = Status.SUCCEEDED) -> bool:
        """End a claimed job."""
        result = RESULT if status is Status.SUCCEEDED else None
        failure = None if status is Status.SUCCEEDED else FAILURE
        step = self.claims.finish(claim, status, result=result, failure=failure)
        return self.run(step) == "ok"

    def release(
        self,
        claim: Claim,
        to: Any,
        *,
        after_ms: int = 0,
        charge: Charge = "counts",
        effect: AccountEffect = NO_EFFECT,
    ) -> ReleaseReply:
        """Release a claimed job."""
        step = self.claims.release(
            claim, to, "reason", after_ms=after_ms, charge=charge, effect=effect
        )
        return self.run(step)

    def heartbeat(self, *held: Claim | DeliveryClaim, most: int = 100) -> tuple[list[str], int]:
        """One heartbeat of a process with these claims; return the lost ones and the work done."""
        raised = self.mark.next_raise()
        claims = ((claim.id, claim.owner, claim.fence) for claim in held)
        reply = self.scripts.run(heartbeat(most, int(self.durable), *raised, *claims))
        self.mark.confirm(raised)
        return sorted(reply.lost), reply.done

    def rescue(self) -> int:
        """Rescue stranded work in one round trip; return how much there was."""
        reply = self.scripts.run(check_consistency("rescue", 10_000, *UNFINISHED_INDEXES))
        assert reply.done
        return len(reply.problems)

    def run_all(self) -> list[str]:
        """Do all jobs that have messages, and those that follow; return them in order."""
        done = []
        while woken := self.take_messages():
            for job_id in woken:
                claim = self.try_claim(job_id)
                if claim is not None:
                    self.finish(claim)
                    done.append(job_id)
        return done

    def pass_time(self, ms: int) -> None:
        """Let time pass while no process does anything."""
        pass_time(self.store, ms)

    # -- queries

    def record(self, job_id: str) -> JobRecord:
        """A job's record."""
        return self.run(self.queries.records([job_id]))[0]

    def status(self, job_id: str) -> Status:
        """A job's status."""
        return self.record(job_id).status

    def statuses(self, job_id: str) -> list[str]:
        """Every status a job has had, oldest first."""
        return [entry["status"] for entry in self.run(self.queries.timeline(job_id))]

    def turn(self, account: str = "shop") -> str | None:
        """The job that has the account's turn."""
        holder: Any = self.store.get(f"hg:acct:{account}:turn")
        return None if holder is None else holder.decode()

    def api_job(self, job_id: str) -> dict[str, Any]:
        """A job as the API shows it."""
        found = self.run(self.queries.job(job_id))
        assert found is not None
        return found

    def deliveries_of(self, job_id: str) -> list[dict[str, Any]]:
        """The deliveries of a job's current run, with their payloads."""
        shown = self.run(self.deliveries.of_job(job_id, self.record(job_id).run))
        return [self.delivery(delivery["id"]) for delivery in shown]

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """A delivery as the API shows it."""
        found = self.run(self.deliveries.read(delivery_id))
        assert found is not None
        return found

    def take_messages(self, queue: str = "actions") -> list[str]:
        """Take every message off a queue; return the ids they carry, oldest first."""
        key = f"{NAMESPACE}:{queue}"
        messages: Any = self.store.hgetall(f"{key}.msgs")
        order: Any = self.store.lrange(key, 0, -1)
        self.store.delete(key, f"{key}.msgs")
        return [_argument(messages[message_id]) for message_id in order]


def _argument(message: bytes) -> str:
    _, _, rest = message.decode().partition('"args":["')
    return rest.partition('"')[0]


@contextmanager
def open_ledger(
    url: str,
    script_config: ScriptConfig = TIMES,
    cipher: Cipher = CIPHER,
    first_event: int = 1,
) -> Iterator[LedgerHarness]:
    """Open the ledger over a store.

    Parameters:
      url: The store; it is used as it is found.
      script_config: Leases and retention.
      cipher: Encrypts bodies, texts and photos.
      first_event: The number of the first event that it makes up.
    """
    with asyncio.Runner() as runner:
        ledger = LedgerHarness(url, runner, script_config, cipher, first_event)
        try:
            yield ledger
        finally:
            ledger.close()
