"""A worker of one process over a real store, whose Instagram is a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.jobs.attempt import perform
from service.jobs.model import Status
from tests.support.ledger import HOUR, LedgerHarness, open_ledger
from tests.support.runtime import endpoint, make_runtime
from tests.support.scripted_gateway import ScriptedGateway, lost_reply


class ScriptedWorker:
    """A worker whose messages are its test's calls.

    Parameters:
      ledger: The ledger.
      gateway: The account's gateway.
    """

    def __init__(self, ledger: LedgerHarness, gateway: ScriptedGateway) -> None:
        self.ledger = ledger
        self.gateway = gateway
        self.runtime = make_runtime(ledger, endpoint("crm"), gateways=gateway)

    def attempt(self, job_id: str, **options: Any) -> None:
        """Make one attempt at a job that is due."""
        self.ledger.run(perform(self.runtime, job_id, **options))

    def attempt_later(self, job_id: str, ms: int = HOUR) -> None:
        """Let time pass until the job is due, and make one attempt."""
        self.ledger.pass_time(ms)
        self.ledger.heartbeat()
        self.attempt(job_id)

    def unconfirmed(self, **changes: Any) -> str:
        """A job whose write was sent, with the reply lost."""
        self.gateway.sends = [lost_reply()]
        job_id = self.ledger.add_job(**changes)
        self.attempt(job_id)
        assert self.ledger.status(job_id) is Status.SENDING
        return job_id

    def spent(self, limit: str) -> int:
        """How much of the account's budget is used."""
        return int(self.ledger.store.zcard(f"hg:acct:shop:spent:{limit}"))


@contextmanager
def open_scripted_worker(store_url: str) -> Iterator[ScriptedWorker]:
    """A worker over a store; it is used as it is found."""
    with open_ledger(store_url) as ledger:
        worker = ScriptedWorker(ledger, ScriptedGateway())
        yield worker
        worker.runtime.heartbeat.stop()
