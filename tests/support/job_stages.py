"""Jobs in every state, each brought there the way a job gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.jobs.model import Status
from tests.support.ledgers import HOUR, SECOND, Books


def job_in(books: Books, status: Status, **changes: Any) -> str:
    """Make a job and bring it to a state.

    Parameters:
      books: The ledger.
      status: The state.
      changes: What is different about the job.

    Returns:
      Its id.
    """
    job_id = _STAGES[status](books, changes)
    assert books.status(job_id) is status
    return job_id


def _scheduled(books: Books, changes: dict[str, Any]) -> str:
    return books.job(delay_ms=HOUR, **changes)


def _queued(books: Books, changes: dict[str, Any]) -> str:
    return books.job(**changes)


def _waiting(books: Books, changes: dict[str, Any]) -> str:
    job_id = books.job(**changes)
    assert books.release(books.claim(job_id), Status.WAITING, after_ms=HOUR) == "ok"
    return job_id


def _held(books: Books, changes: dict[str, Any]) -> str:
    job_id = books.job(**changes)
    books.run(books.doors.pause(books.record(job_id).account))
    assert books.try_claim(job_id) is None
    return job_id


def _running(books: Books, changes: dict[str, Any]) -> str:
    return books.claim(books.job(**changes)).id


def _sending(books: Books, changes: dict[str, Any]) -> str:
    return books.sending(books.job(**changes)).id


def _canceled(books: Books, changes: dict[str, Any]) -> str:
    job_id = books.job(**changes)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "ok"
    return job_id


def _expired(books: Books, changes: dict[str, Any]) -> str:
    job_id = books.job(expires_ms=SECOND, **changes)
    books.pass_time(2 * SECOND)
    books.tick()
    return job_id


def _ended(status: Status) -> Callable[[Books, dict[str, Any]], str]:
    def stage(books: Books, changes: dict[str, Any]) -> str:
        claim = books.sending(books.job(**changes))
        assert books.finish(claim, status)
        return claim.id

    return stage


_STAGES: Final[Mapping[Status, Callable[[Books, dict[str, Any]], str]]] = {
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
