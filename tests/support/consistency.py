"""What the doctor finds in a ledger, and whether its jobs can still end."""

from __future__ import annotations

from typing import Final

from service.jobs.model import FINAL
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import SECOND, LedgerHarness

#: More heartbeats than any test's ledger needs until its jobs have ended.
_MAX_BEATS: Final = 60
#: Longer than any lease, settle time or recheck there is.
_SPAN_MS: Final = 70 * SECOND


def run_to_end(ledger: LedgerHarness, job_id: str) -> bool:
    """Resume the job's account and process all messages until the job has ended.

    Returns:
      Whether it has ended.
    """
    ledger.run(ledger.controls.resume(ledger.record(job_id).account))
    for _ in range(_MAX_BEATS):
        if ledger.status(job_id) in FINAL:
            return True
        for woken in ledger.take_messages():
            if (claim := ledger.try_claim(woken, "the last worker")) is not None:
                assert ledger.finish(claim)
        ledger.pass_time(_SPAN_MS)
        ledger.heartbeat()
    return False


def assert_repairable(ledger: LedgerHarness, *expected: tuple[str, str, str]) -> None:
    """Assert that the doctor finds exactly these (id, problem, where) and can repair them."""
    for outcome, repair in (("repairable", False), ("repairable", False), ("repaired", True)):
        found = diagnosis(ledger, repair=repair)
        assert {(each.id, each.problem, each.where) for each in found} == set(expected)
        assert {each.outcome for each in found} == {outcome}
    assert diagnosis(ledger) == []
    assert audit(ledger) == []


def assert_unrepairable(ledger: LedgerHarness, *expected: tuple[str, str, str]) -> None:
    """Assert that the doctor finds exactly these and cannot repair them."""
    for repair in (False, True, False):
        found = diagnosis(ledger, repair=repair)
        assert [(each.id, each.problem, each.where) for each in found] == list(expected)
        assert {each.outcome for each in found} == {"lost"}


def delivery_of(ledger: LedgerHarness, job_id: str) -> str:
    """The id of a job's only delivery."""
    [delivery] = ledger.deliveries_of(job_id)
    return str(delivery["id"])


def claim_callbacks(ledger: LedgerHarness) -> list[str]:
    """Claim every delivery with a message on the broker; return the ids."""
    ids = ledger.take_messages("callbacks")
    for delivery_id in ids:
        assert ledger.run(ledger.deliveries.claim(delivery_id, "worker")) is not None
    return ids
