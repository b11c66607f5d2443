"""What the doctor makes of a ledger, and whether work goes on in it."""

from __future__ import annotations

from typing import Final

from service.jobs.model import FINAL
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import SECOND, LedgerHarness

#: No ledger of a test needs more beats than this to come to rest.
_ENOUGH_BEATS: Final = 60
#: Longer than any lease, settle time or recheck there is.
_SPAN_MS: Final = 70 * SECOND


def run_to_end(ledger: LedgerHarness, job_id: str) -> bool:
    """Open the job's account and do whatever the broker brings, until the job has ended.

    Returns:
      Whether it has.
    """
    ledger.run(ledger.controls.resume(ledger.record(job_id).account))
    for _ in range(_ENOUGH_BEATS):
        if ledger.status(job_id) in FINAL:
            return True
        for woken in ledger.take_messages():
            if (claim := ledger.try_claim(woken, "the last worker")) is not None:
                assert ledger.finish(claim)
        ledger.pass_time(_SPAN_MS)
        ledger.heartbeat()
    return False


def assert_repairable(ledger: LedgerHarness, *expected: tuple[str, str, str]) -> None:
    """Have the doctor find just this (id, problem, where), leave it, and then mend it for good."""
    for outcome, repair in (("mendable", False), ("mendable", False), ("mended", True)):
        found = diagnosis(ledger, repair=repair)
        assert {(each.id, each.problem, each.where) for each in found} == set(expected)
        assert {each.outcome for each in found} == {outcome}
    assert diagnosis(ledger) == []
    assert audit(ledger) == []


def assert_unrepairable(ledger: LedgerHarness, *expected: tuple[str, str, str]) -> None:
    """Have the doctor find just this, also after a repair, which cannot mend it."""
    for repair in (False, True, False):
        found = diagnosis(ledger, repair=repair)
        assert [(each.id, each.problem, each.where) for each in found] == list(expected)
        assert {each.outcome for each in found} == {"lost"}


def delivery_of(ledger: LedgerHarness, job_id: str) -> str:
    """The id of the only delivery of a job."""
    [delivery] = ledger.deliveries_of(job_id)
    return str(delivery["id"])


def claim_callbacks(ledger: LedgerHarness) -> list[str]:
    """Claim every callback that rings; the ids."""
    rung = ledger.take_messages("callbacks")
    for delivery_id in rung:
        assert ledger.run(ledger.deliveries.claim(delivery_id, "worker")) is not None
    return rung
