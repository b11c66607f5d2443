"""Jobs in every state, each brought there by the ledger's own steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.jobs.model import Status
from tests.support.ledger import HOUR, SECOND, LedgerHarness


def job_in(ledger: LedgerHarness, status: Status, **changes: Any) -> str:
    """Make a job and bring it to a state.

    Parameters:
      ledger: The ledger.
      status: The state.
      changes: Fields of the draft to change.

    Returns:
      Its id.
    """
    job_id = _MAKERS[status](ledger, changes)
    assert ledger.status(job_id) is status
    return job_id


def _scheduled(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    return ledger.add_job(delay_ms=HOUR, **changes)


def _queued(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    return ledger.add_job(**changes)


def _waiting(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    job_id = ledger.add_job(**changes)
    assert ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=HOUR) == "ok"
    return job_id


def _held(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    job_id = ledger.add_job(**changes)
    ledger.run(ledger.controls.pause(ledger.record(job_id).account))
    assert ledger.try_claim(job_id) is None
    return job_id


def _running(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    return ledger.claim(ledger.add_job(**changes)).id


def _sending(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    return ledger.claim_and_send(ledger.add_job(**changes)).id


def _canceled(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    job_id = ledger.add_job(**changes)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    return job_id


def _expired(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
    job_id = ledger.add_job(expires_ms=SECOND, **changes)
    ledger.pass_time(2 * SECOND)
    ledger.heartbeat()
    return job_id


def _ended(status: Status) -> Callable[[LedgerHarness, dict[str, Any]], str]:
    def bring(ledger: LedgerHarness, changes: dict[str, Any]) -> str:
        claim = ledger.claim_and_send(ledger.add_job(**changes))
        assert ledger.finish(claim, status)
        return claim.id

    return bring


_MAKERS: Final[Mapping[Status, Callable[[LedgerHarness, dict[str, Any]], str]]] = {
    Status.SCHEDULED: _scheduled,
    Status.QUEUED: _queued,
    Status.WAITING: _waiting,
    Status.HELD: _held,
    Status.RUNNING: _running,
    Status.SENDING: _sending,
    Status.SUCCEEDED: _ended(Status.SUCCEEDED),
    Status.FAILED: _ended(Status.FAILED),
    Status.UNCERTAIN: _ended(Status.UNCERTAIN),
    Status.CANCELED: _canceled,
    Status.EXPIRED: _expired,
}
