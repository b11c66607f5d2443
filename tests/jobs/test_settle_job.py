"""What a settled job leaves behind: who may be written to again, and what is kept of a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from service.jobs.model import SettledAs, Status
from service.jobs.verification_report import VerificationReport
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, FAILURE, HOUR, TIMES, LedgerHarness
from tests.support.limited_ledger import LedgerFactory, ledger_factory, limits
from tests.support.people import erase, show
from tests.support.person_search import keys_about

WEEK = 7 * DAY
NOTE = "Jenny says that she has it"


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def settle(
    ledger: LedgerHarness, job_id: str, settled_as: SettledAs, note: str | None = None
) -> str:
    return ledger.run(ledger.core.settle(job_id, settled_as, "api:test", note=note))


@pytest.mark.parametrize(("settled_as", "reply"), [("sent", "refused"), ("not_sent", "ok")])
def test_the_recipient_may_get_the_same_again_only_if_it_was_not_sent(
    ledger_with: LedgerFactory, settled_as: SettledAs, reply: str
) -> None:
    ledger = ledger_with(repeat_ms=WEEK, shop=limits())
    assert settle(ledger, job_in(ledger, Status.UNCERTAIN), settled_as) == "ok"

    assert ledger.record_intent(ledger.claim(ledger.add_job())) == reply


def test_what_was_sent_is_remembered_again_where_history_was_lost(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(repeat_ms=WEEK, shop=limits())
    job_id = job_in(ledger, Status.UNCERTAIN)
    ledger.store.delete(*ledger.store.keys("hg:repeat:*"), "hg:sent:shop")
    ledger.pass_time(HOUR)

    settle(ledger, job_id, "sent")

    [remembered] = ledger.store.keys("hg:repeat:*")
    left = ledger.store.pttl(remembered)
    assert WEEK - 2 * HOUR < left <= WEEK - HOUR
    assert ledger.store.zrange("hg:sent:shop", 0, -1) == [b"token"]


def test_a_settlement_does_not_take_over_what_another_job_has_sent(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(repeat_ms=WEEK, shop=limits())
    job_id = job_in(ledger, Status.UNCERTAIN)
    [remembered] = ledger.store.keys("hg:repeat:*")
    ledger.store.set(remembered, "job_another")

    settle(ledger, job_id, "not_sent")

    assert ledger.store.get(remembered) == b"job_another"


def test_a_settled_job_is_kept_from_its_settlement_on_and_pruned_with_both_callbacks(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    ledger.pass_time(39 * DAY)
    settle(ledger, job_id, "sent")
    ledger.pass_time(39 * DAY)
    ledger.run(ledger.core.prune())
    assert ledger.status(job_id) is Status.SUCCEEDED
    for delivery in ledger.run(ledger.deliveries.of_job(job_id, 2)):
        claim = ledger.run(ledger.deliveries.claim(delivery["id"], "worker"))
        assert claim is not None
        ledger.run(ledger.deliveries.record(claim, "failed", {"outcome": "failed"}))

    ledger.pass_time(TIMES.keep)
    ledger.run(ledger.core.prune())

    assert not ledger.store.keys(f"hg:job*{job_id}")
    assert not ledger.store.keys(f"hg:dlv*{job_id.removeprefix('job_')}*")
    assert audit(ledger) == []


def test_the_note_of_a_settlement_goes_with_its_person(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    settle(ledger, job_id, "sent", NOTE)
    assert show(ledger)["items"][0]["result"]["settled"]["note"] == NOTE
    assert keys_about(ledger.store, "Jenny")

    assert erase(ledger).done

    assert keys_about(ledger.store, "Jenny") == []
    assert audit(ledger) == []


def test_a_job_whose_person_was_erased_is_settled_without_a_note(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    assert erase(ledger).done

    assert settle(ledger, job_id, "sent", NOTE) == "erased"
    assert ledger.status(job_id) is Status.UNCERTAIN
    assert settle(ledger, job_id, "sent") == "ok"

    assert ledger.status(job_id) is Status.SUCCEEDED
    assert keys_about(ledger.store, "Jenny") == []
    assert audit(ledger) == []


def test_a_settlement_frees_no_turn_of_another_job(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    running = ledger.claim(ledger.add_job())

    settle(ledger, job_id, "not_sent")

    assert ledger.turn() == running.id
    assert audit(ledger) == []


def test_the_thread_that_a_lookup_has_read_goes_with_its_person(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    report = VerificationReport("34028236684171", pages=1, rows=12)
    step = ledger.claims.finish(
        claim, Status.UNCERTAIN, failure=FAILURE, why="not found", verification=report
    )
    assert ledger.run(step) == "ok"
    assert keys_about(ledger.store, "34028236684171")

    assert erase(ledger).done

    assert keys_about(ledger.store, "34028236684171") == []
    assert ledger.record(claim.id).looked == ""
