"""A person is erased while a job of theirs runs, or may have written."""

from __future__ import annotations

from service.jobs.model import Status
from tests.support.backup import Backup
from tests.support.invariants import audit
from tests.support.ledger import TIMES, LedgerHarness
from tests.support.people import erase
from tests.support.person_search import keys_about

HANDLE = "some.handle"


def test_a_write_under_way_is_waited_for(ledger: LedgerHarness) -> None:
    # Given one DM that may have been sent, and one that was
    claim = ledger.claim_and_send(ledger.add_job())
    sent = ledger.claim_and_send(ledger.add_job(account="studio"))
    ledger.finish(sent)

    first = erase(ledger)

    assert (first.busy, first.jobs, first.done) == ((claim.id,), 1, False)
    assert ledger.finish(claim)
    second = erase(ledger)
    assert (second.busy, second.jobs, second.done) == ((), 1, True)
    assert keys_about(ledger.store, HANDLE) == []


def test_a_write_that_turns_out_not_to_have_been_made_is_not_made_any_more(
    ledger: LedgerHarness,
) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    assert erase(ledger).busy == (claim.id,)

    assert ledger.release(claim, Status.QUEUED, charge="resend") == "ended"

    assert ledger.statuses(claim.id)[-1] == "canceled"
    assert ledger.turn() is None
    assert ledger.try_claim(claim.id) is None
    assert audit(ledger) == []
    assert erase(ledger).done


def test_a_running_job_stops_before_its_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())

    assert erase(ledger).busy == (claim.id,)

    assert ledger.record_intent(claim) == "canceled"
    assert erase(ledger).done


def test_a_job_that_lost_history_has_looked_for_first_is_not_sent_when_it_was_not_found(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.add_job()
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    backup.restore()
    ledger.heartbeat()
    ledger.pass_time(TIMES.lease + TIMES.settle)
    ledger.heartbeat()
    claim = ledger.claim(job_id)
    assert claim.look_first
    assert erase(ledger).busy == (job_id,)

    assert ledger.release(claim, Status.QUEUED, charge="looked") == "ended"

    assert ledger.status(job_id) is Status.CANCELED
    assert erase(ledger).done
    assert audit(ledger) == []
