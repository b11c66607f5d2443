"""A typical DM: its draft, and its steps through the ledger by the ledger's own calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis.asyncio as aredis

from service.accounts.controls import AccountControls
from service.config.pacing import PACE_KINDS, Pacing
from service.deliveries.store import Deliveries
from service.events.event_finder import EventFinder
from service.jobs.audit_log import AuditLog
from service.jobs.claims import Claim, Claims
from service.jobs.job_finder import JobFinder
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.limits import AccountLimits, Limits
from service.jobs.model import JobDraft, Status
from service.jobs.queries import JobQueries
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.ledger import DAY, FAILURE, PERSON_KEYS, SECOND, Event

#: The times and limits of an installation with default settings.
TIMES: Final = ScriptConfig(
    lease=10 * SECOND,
    settle=5 * SECOND,
    keep=40 * DAY,
    keep_bodies=7 * DAY,
    person_keys=PERSON_KEYS,
    limits=Limits(
        default=AccountLimits({kind: Pacing().pace(kind) for kind in PACE_KINDS}), repeat_ms=7 * DAY
    ),
)
#: 120 characters.
TEXT: Final = (
    "Hi! Thank you for your order, it is on its way to you today. Write to us here if there is"
    " anything we can help you with."
)[:120]
SOURCE: Final = "stripe"
RULE: Final = "thank-you"
#: An owner in the workers' format, without the claim's number.
WORKER: Final = "heliograph-worker-1:4242:84a436"


class TypicalDms:
    """The ledger and typical jobs on it.

    Parameters:
      client: The loop's client to the store.
      script_config: Leases, retention and limits.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self.client = client
        self.script_config = script_config
        self.ledger = Ledger(client, script_config, CIPHER)
        self.claims = Claims(client, script_config, CIPHER)
        self.deliveries = Deliveries(client, script_config)
        self.queries = JobQueries(client, script_config, CIPHER)
        self.audit = AuditLog(client, script_config)
        self.events = EventFinder(client, script_config, self.queries)
        self.finder = JobFinder(client, script_config, self.queries)
        self.controls = AccountControls(client, script_config)

    async def accept(self, number: int, **changes: Any) -> str:
        """Accept an event with one job; return its id.

        Parameters:
          number: Names the event, the recipient and, if nothing is said, an account of its own.
          changes: Fields of the draft to change.
        """
        event = Event(event_id(number), fingerprint=_digest(number, 64))
        notes = [{"rule": RULE, "outcome": "matched", "message": None}]
        body = _body(event.id)
        asked = draft(number, **changes)
        accepted = await self.ledger.accept(SOURCE, event, [asked], body=body, notes=notes)
        return accepted.jobs[0]

    async def claim(self, job_id: str, number: int) -> Claim:
        """Claim a job that has its turn."""
        claim = await self.claims.claim(job_id, f"{WORKER}:{number}")
        assert claim is not None
        return claim

    async def intend(self, claim: Claim, number: int) -> None:
        """Record the intent of a DM that opens a thread, and charge it."""
        context = str(6_800_049_142_823_403_224 + number)
        thread: Any = "new" if claim.job.kind == "dm" else ""
        pk = str(pk_of(number))
        reply = await self.claims.record_intent(
            claim, pk=pk, context=context, thread=thread, reads=1
        )
        assert reply == "ok"

    async def finish(self, claim: Claim, number: int, status: Status = Status.SUCCEEDED) -> None:
        """Finish it as after Instagram's response."""
        failure = FAILURE if status is Status.FAILED else None
        result = {
            "message_id": str(31_000_000_000_000_000_000_000_000_000_000_000 + number),
            "thread_id": str(340_282_366_841_710_300_949_128_000_000_000_000_000 + number),
            "client_context": str(6_800_049_142_823_403_224 + number),
        }
        sent = result if status is Status.SUCCEEDED else None
        assert await self.claims.finish(claim, status, result=sent, failure=failure) == "ok"

    async def deliver(self, job_id: str, number: int, to: Any = "delivered") -> None:
        """Attempt the callback of a finished job."""
        claim = await self.deliveries.claim(f"dlv_{job_id[4:]}_1", f"{WORKER}:{number}")
        assert claim is not None
        after_ms = 20 * DAY if to == "pending" else 0
        attempt = _attempt(204 if to == "delivered" else 503, after_ms)
        assert await self.deliveries.record(claim, to, attempt, after_ms=after_ms)


@contextmanager
def opened_shop(
    url: str, script_config: ScriptConfig = TIMES
) -> Iterator[tuple[TypicalDms, asyncio.Runner]]:
    """Open the ledger over a store, with the loop that it lives on.

    Parameters:
      url: The store.
      script_config: Leases, retention and limits.
    """
    with asyncio.Runner() as runner:
        client = async_client(url, max_connections=8, wait_seconds=60)
        try:
            yield TypicalDms(client, script_config), runner
        finally:
            runner.run(client.aclose())


def draft(number: int, **changes: Any) -> JobDraft:
    """The draft of a rule's DM.

    Parameters:
      number: Names the recipient and the account.
      changes: Fields to change.
    """
    usual: dict[str, Any] = {
        "kind": "dm",
        "account": f"account-{number}",
        "to": f"customer.{number:08}",
        "post": None,
        "text": TEXT,
        "rule": RULE,
        "callback": "crm",
        "once_key": f"order-{number}",
    }
    return JobDraft(**usual | changes)


def event_id(number: int) -> str:
    """24 characters, as in Stripe's ids."""
    return f"evt_{_digest(number, 20)}"


def pk_of(number: int) -> int:
    """Eleven digits."""
    return 30_000_000_000 + number


def _digest(number: int, length: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:length]


def _body(name: str) -> bytes:
    """2 KB of JSON with a typical compression ratio."""
    lines = {f"field_{n}": _digest(n, 16) for n in range(60)}
    return json.dumps({"id": name, "data": {"object": lines}}).encode()


def _attempt(status: int, after_ms: int) -> dict[str, Any]:
    return {
        "number": 1,
        "at": "2026-11-20T10:26:48.509Z",
        "outcome": "delivered" if status == 204 else "again",
        "code": None if status == 204 else f"http_{status}",
        "message": None,
        "status": status,
        "duration_ms": 37,
        "body": "",
        "next_in_ms": after_ms or None,
    }
