"""The ledger over a real store, spoken to without `await`, with time that passes at will."""

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
from service.jobs.actor_routes import NAMESPACE
from service.jobs.claims import NO_EFFECT, AccountEffect, Claim, Claims, Thread
from service.jobs.ledger import UNENDED_INDEXES, EventStatus, Identified, Ledger
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.heartbeat import heartbeat
from service.jobs.lua.record_intent import IntentReply
from service.jobs.lua.release_job import Charge, ReleaseReply
from service.jobs.lua.runner import SyncScripts
from service.jobs.model import Failure, JobDraft, Status
from service.jobs.queries import JobQueries
from service.jobs.records import JobRecord
from service.jobs.replies import Acceptance
from service.redis.client import async_client
from tests.support.time_travel import pass_time

SECOND = 1_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

TIMES = ScriptConfig(lease=10 * SECOND, settle=5 * SECOND, keep=40 * DAY, keep_bodies=7 * DAY)
RESULT = {"message_id": "m1"}
FAILURE = Failure("refused", "Instagram refused it.")

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """An event's identity, as the ledger asks for it."""

    id: str
    type: str = "checkout.session.completed"
    livemode: bool | None = False
    fingerprint: str = "f" * 64


def draft(**changes: Any) -> JobDraft:
    """A DM that a rule asks for.

    Parameters:
      changes: What is different about it.
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
    """The ledger with all its rooms, on one loop and one store.

    Parameters:
      url: The store.
      runner: Runs one call at a time.
      script_config: Leases and retention.
    """

    def __init__(
        self, url: str, runner: asyncio.Runner, script_config: ScriptConfig = TIMES
    ) -> None:
        self._runner = runner
        self._numbers = itertools.count(1)
        self.script_config = script_config
        self.store = redis.Redis.from_url(url)
        self.client = async_client(url, max_connections=20, wait_seconds=60)
        self.core = Ledger(self.client, script_config)
        self.claims = Claims(self.client, script_config)
        self.deliveries = Deliveries(self.client, script_config)
        self.queries = JobQueries(self.client, script_config)
        self.controls = AccountControls(self.client, script_config)
        self.scripts = SyncScripts(self.store, script_config)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run one call on the loop."""
        return self._runner.run(step)

    def close(self) -> None:
        """Close every connection."""
        self.run(self.client.aclose())
        self.store.close()

    # -- the door

    def accept(
        self,
        event: Identified,
        *drafts: JobDraft,
        source: str = "stripe",
        body: bytes = b"{}",
        status: EventStatus = "accepted",
        notes: Sequence[dict[str, Any]] = (),
    ) -> Acceptance:
        """Accept one event with the jobs its rules ask for."""
        step = self.core.accept(source, event, drafts, body=body, status=status, notes=notes)
        return self.run(step)

    def add_job(self, **changes: Any) -> str:
        """Accept a new event with one job; its id."""
        event = Event(f"evt_auto_{next(self._numbers)}")
        return self.accept(event, draft(**changes)).jobs[0]

    def add_jobs(self, count: int, *, apart: bool = False, **changes: Any) -> list[str]:
        """Accept new events with one job each, many at a time; the jobs' ids, oldest first.

        Parameters:
          count: How many.
          apart: Each on an account of its own, so that none waits for another's turn.
          changes: What is different about them.
        """

        async def one(number: int) -> str:
            own = {"account": f"account-{number}"} if apart else {}
            asked = draft(**changes | own)
            event = Event(f"evt_many_{number}")
            return (await self.core.accept("stripe", event, [asked], body=b"{}")).jobs[0]

        async def all_of_them() -> list[str]:
            made: list[str] = []
            while len(made) < count:
                at_once = range(min(1_000, count - len(made)))
                made += await asyncio.gather(*(one(next(self._numbers)) for _ in at_once))
            return made

        made = self.run(all_of_them())
        return sorted(made, key=lambda job_id: self.store.zscore("hg:jobs", job_id) or 0)

    # -- the workers

    def try_claim(self, job_id: str, owner: str = "worker") -> Claim | None:
        """Claim a job; None when there is nothing to do."""
        return self.run(self.claims.claim(job_id, owner))

    def claim(self, job_id: str, owner: str = "worker") -> Claim:
        """Claim a job that can be claimed."""
        claim = self.try_claim(job_id, owner)
        assert claim is not None
        return claim

    def record_intent(
        self, claim: Claim, *, pk: str = "314159", thread: Thread = "old", reads: int = 0
    ) -> IntentReply:
        """Record the intent of a claim."""
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
        """Give a claimed job back."""
        step = self.claims.release(
            claim, to, "reason", after_ms=after_ms, charge=charge, effect=effect
        )
        return self.run(step)

    def heartbeat(self, *held: Claim | DeliveryClaim, most: int = 100) -> tuple[list[str], int]:
        """Beat once for a process that holds these claims; the lost ones and how much was done."""
        claims = ((claim.id, claim.owner, claim.fence) for claim in held)
        reply = self.scripts.run(heartbeat(most, *claims))
        return sorted(reply.lost), reply.done

    def rescue(self) -> int:
        """Look at all unended work, in one round trip; how much was stranded."""
        reply = self.scripts.run(check_consistency("rescue", 10_000, *UNENDED_INDEXES))
        assert reply.done
        return len(reply.problems)

    def run_all(self) -> list[str]:
        """Do all the work the broker brings; the jobs in the order they were done."""
        done = []
        while woken := self.take_messages():
            for job_id in woken:
                claim = self.try_claim(job_id)
                if claim is not None:
                    self.finish(claim)
                    done.append(job_id)
        return done

    def pass_time(self, ms: int) -> None:
        """Let time go by with every process asleep."""
        pass_time(self.store, ms)

    # -- what there is to see

    def record(self, job_id: str) -> JobRecord:
        """A job as the ledger holds it."""
        return self.run(self.queries.records([job_id]))[0]

    def status(self, job_id: str) -> Status:
        """Where a job stands."""
        return self.record(job_id).status

    def statuses(self, job_id: str) -> list[str]:
        """Every state a job was in, oldest first."""
        return [entry["status"] for entry in self.run(self.queries.timeline(job_id))]

    def turn(self, account: str = "shop") -> str | None:
        """Whose turn it is."""
        holder: Any = self.store.get(f"hg:acct:{account}:turn")
        return None if holder is None else holder.decode()

    def api_job(self, job_id: str) -> dict[str, Any]:
        """A job as the API shows it."""
        found = self.run(self.queries.job(job_id))
        assert found is not None
        return found

    def deliveries_of(self, job_id: str) -> list[dict[str, Any]]:
        """The deliveries of a job, a run each, with their payloads."""
        shown = self.run(self.deliveries.of_job(job_id, self.record(job_id).run))
        return [self.delivery(delivery["id"]) for delivery in shown]

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """A delivery as the API shows it."""
        found = self.run(self.deliveries.read(delivery_id))
        assert found is not None
        return found

    def take_messages(self, queue: str = "actions") -> list[str]:
        """Take every message off the broker; the ids they carry, oldest first."""
        key = f"{NAMESPACE}:{queue}"
        messages: Any = self.store.hgetall(f"{key}.msgs")
        order: Any = self.store.lrange(key, 0, -1)
        self.store.delete(key, f"{key}.msgs")
        return [_argument(messages[message_id]) for message_id in order]


def _argument(message: bytes) -> str:
    _, _, rest = message.decode().partition('"args":["')
    return rest.partition('"')[0]


@contextmanager
def open_ledger(url: str, script_config: ScriptConfig = TIMES) -> Iterator[LedgerHarness]:
    """Open the ledger over a store.

    Parameters:
      url: The store; it is used as it is found.
      script_config: Leases and retention.
    """
    with asyncio.Runner() as runner:
        ledger = LedgerHarness(url, runner, script_config)
        try:
            yield ledger
        finally:
            ledger.close()
