"""What the doctor makes of a ledger, and whether work goes on in it."""

from __future__ import annotations

from typing import Final

from service.jobs.model import FINAL
from tests.support.invariants import audit, diagnosis
from tests.support.ledgers import SECOND, Books

#: No ledger of a test needs more beats than this to come to rest.
_ENOUGH_BEATS: Final = 60
#: Longer than any lease, settle time or recheck there is.
_SPAN_MS: Final = 70 * SECOND


def work_off(books: Books, job_id: str) -> bool:
    """Open the job's account and do whatever the broker brings, until the job has ended.

    Returns:
      Whether it has.
    """
    books.run(books.doors.resume(books.record(job_id).account))
    for _ in range(_ENOUGH_BEATS):
        if books.status(job_id) in FINAL:
            return True
        for woken in books.wakeups():
            if (claim := books.try_claim(woken, "the last worker")) is not None:
                assert books.finish(claim)
        books.pass_time(_SPAN_MS)
        books.tick()
    return False


def mended(books: Books, *expected: tuple[str, str, str]) -> None:
    """Have the doctor find just this (id, problem, where), leave it, and then mend it for good."""
    for outcome, repair in (("mendable", False), ("mendable", False), ("mended", True)):
        found = diagnosis(books, repair=repair)
        assert {(each.id, each.problem, each.where) for each in found} == set(expected)
        assert {each.outcome for each in found} == {outcome}
    assert diagnosis(books) == []
    assert audit(books) == []


def lost(books: Books, *expected: tuple[str, str, str]) -> None:
    """Have the doctor find just this, also after a repair, which cannot mend it."""
    for repair in (False, True, False):
        found = diagnosis(books, repair=repair)
        assert [(each.id, each.problem, each.where) for each in found] == list(expected)
        assert {each.outcome for each in found} == {"lost"}


def delivery_of(books: Books, job_id: str) -> str:
    """The id of the only delivery of a job."""
    [delivery] = books.owed(job_id)
    return str(delivery["id"])


def take_callbacks(books: Books) -> list[str]:
    """Claim every callback that rings; the ids."""
    rung = books.wakeups("callbacks")
    for delivery_id in rung:
        assert books.run(books.deliveries.claim(delivery_id, "worker")) is not None
    return rung
