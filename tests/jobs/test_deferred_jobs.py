"""Events with more jobs than one step creates: all are recorded at once, and each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from actors.lease_heartbeat import LeaseHeartbeat
from deploy.local.wait import until
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE, create_deferred_jobs
from service.jobs.lua.heartbeat import heartbeat
from service.jobs.lua.prune import prune
from service.jobs.model import Recognition
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import FAILURE, SECOND, TIMES, Event, LedgerHarness, draft
from tests.support.unfinished_events import COUNT, accept_first_step, many_drafts


def _abandoned_event(ledger: LedgerHarness) -> str | None:
    """The event that a heartbeat finds unfinished."""
    beat = heartbeat(20, 0, *HighWaterMark("worker").next_raise())
    return ledger.scripts.run(beat).abandoned_event


def _stored(ledger: LedgerHarness, ids: Sequence[str]) -> int:
    return sum(ledger.store.exists(f"hg:job:{job_id}") for job_id in ids)


@pytest.mark.parametrize("count", [JOBS_AT_ONCE, JOBS_AT_ONCE + 1, COUNT, 300])
@pytest.mark.parametrize("changes", [{}, {"failure": FAILURE}, {"delay_ms": SECOND}])
def test_an_event_makes_all_its_jobs_whose_ids_are_known_at_once(
    ledger: LedgerHarness, count: int, changes: dict[str, Any]
) -> None:
    accepted = ledger.accept(Event("evt_1"), *many_drafts(count, **changes))

    assert (accepted.outcome, len({*accepted.jobs})) == ("accepted", count)
    assert [ledger.record(job_id).source["rule"] for job_id in accepted.jobs] == [
        f"rule-{number}" for number in range(count)
    ]
    assert ledger.store.exists("hg:unfinished", "hg:deferred:stripe:evt_1") == 0
    assert ledger.accept(Event("evt_1"), *many_drafts(count)) == (
        "duplicate",
        "evt_1",
        accepted.jobs,
    )
    assert audit(ledger) == []


def test_no_step_creates_more_than_a_slice(ledger: LedgerHarness) -> None:
    reply = accept_first_step(ledger, Event("evt_1"), many_drafts())
    assert reply.acceptance is not None
    left = [reply.deferred]
    counts = [_stored(ledger, reply.acceptance.jobs)]
    while left[-1]:
        left.append(ledger.scripts.run(create_deferred_jobs("stripe:evt_1", JOBS_AT_ONCE)))
        counts.append(_stored(ledger, reply.acceptance.jobs))

    assert left == [COUNT - 25, COUNT - 50, COUNT - 75, 0]
    assert counts == [25, 50, 75, COUNT]
    assert ledger.scripts.run(create_deferred_jobs("stripe:evt_1", JOBS_AT_ONCE)) == 0
    assert audit(ledger) == []


def test_the_sender_that_repeats_the_event_gets_the_same_answer_and_has_it_finished(
    ledger: LedgerHarness,
) -> None:
    first = accept_first_step(ledger, Event("evt_1"), many_drafts()).acceptance
    assert first is not None
    assert _stored(ledger, first.jobs) == JOBS_AT_ONCE

    again = ledger.accept(Event("evt_1"), *many_drafts(text="rendered by a later release"))

    assert (again.outcome, again.jobs) == ("duplicate", first.jobs)
    assert _stored(ledger, first.jobs) == COUNT
    texts = {ledger.store.get(f"hg:jobtext:{job_id}") for job_id in first.jobs}
    assert texts == {b"Thank you!"}
    assert audit(ledger) == []


def test_jobs_that_are_still_to_be_created_are_not_called_lost(ledger: LedgerHarness) -> None:
    drafts = many_drafts()
    notes = [{"rule": each.rule, "outcome": "matched", "message": None} for each in drafts]
    accept_first_step(ledger, Event("evt_1"), drafts, notes=orjson.dumps(notes).decode())
    assert diagnosis(ledger) == []

    ledger.accept(Event("evt_1"), *drafts)
    assert audit(ledger) == []


def test_the_heartbeat_of_any_worker_finishes_what_an_acceptor_has_left(
    ledger: LedgerHarness, store_url: str
) -> None:
    accepted = accept_first_step(ledger, Event("evt_1"), many_drafts()).acceptance
    assert accepted is not None
    # An acceptor that lives is not disturbed
    ledger.heartbeat()
    assert _stored(ledger, accepted.jobs) == JOBS_AT_ONCE

    ledger.pass_time(TIMES.lease)
    worker = LeaseHeartbeat(store_url, ledger.script_config, ledger.mark)
    worker.start()
    try:
        until(lambda: _stored(ledger, accepted.jobs) == COUNT, 10, "all jobs")
        until(lambda: ledger.store.exists("hg:unfinished") == 0, 10, "the end")
    finally:
        worker.stop()
    assert audit(ledger) == []


def test_one_heartbeat_at_a_time_finishes_an_event(ledger: LedgerHarness) -> None:
    accept_first_step(ledger, Event("evt_1"), many_drafts())
    ledger.pass_time(TIMES.lease)

    found = [_abandoned_event(ledger) for _ in range(3)]
    assert found == ["stripe:evt_1", None, None]
    ledger.pass_time(TIMES.lease)
    assert _abandoned_event(ledger) == "stripe:evt_1"


def test_a_job_that_is_still_to_be_made_keeps_its_business_key(ledger: LedgerHarness) -> None:
    # Given an event whose last job has a business key, and is not made yet
    drafts = [*many_drafts(), draft(rule="paid", once_key="payment-1")]
    first = accept_first_step(ledger, Event("evt_1"), drafts).acceptance
    assert first is not None
    # When another event is about the same payment
    second = ledger.accept(Event("evt_2"), draft(rule="paid", once_key="payment-1"))
    # Then it has the first one's job
    assert second.jobs == [first.jobs[-1]]
    ledger.accept(Event("evt_1"), *drafts)
    assert ledger.record(first.jobs[-1]).source["event_id"] == "evt_1"
    assert audit(ledger) == []


def test_business_keys_of_earlier_jobs_are_respected_in_later_slices(
    ledger: LedgerHarness,
) -> None:
    earlier = ledger.accept(Event("evt_0"), draft(rule="paid", once_key="payment-1")).jobs
    accepted = ledger.accept(
        Event("evt_1"), *many_drafts(), draft(rule="paid", once_key="payment-1")
    )
    assert accepted.jobs[-1:] == earlier
    assert len({*accepted.jobs}) == COUNT + 1
    assert audit(ledger) == []


def test_another_shape_waits_until_the_first_is_finished(ledger: LedgerHarness) -> None:
    # Given a thin event, all of whose many rules failed, and whose jobs are not all made
    thin = Event("evt_1", type="v1.thin", fingerprint="1" * 64)
    rejected = many_drafts(failure=FAILURE)
    first = accept_first_step(ledger, thin, rejected, shape="thin").acceptance
    assert first is not None
    # When the snapshot comes
    snapshot = Event("evt_1", type="v1.snapshot", fingerprint="2" * 64)
    accepted = ledger.run(
        ledger.core.accept(
            "stripe",
            snapshot,
            many_drafts(),
            body=b"{}",
            recognition=Recognition(shape="snapshot"),
        )
    )
    # Then each rule has a job in the place of the rejected one
    assert accepted.outcome == "duplicate"
    assert accepted.jobs[:COUNT] == first.jobs
    assert len({*accepted.jobs}) == 2 * COUNT == _stored(ledger, accepted.jobs)
    assert {ledger.record(job_id).source["event_id"] for job_id in accepted.jobs} == {"evt_1"}
    assert audit(ledger) == []


def test_a_replay_adds_many_jobs_in_slices(ledger: LedgerHarness) -> None:
    first = accept_first_step(ledger, Event("evt_1"), many_drafts()).acceptance
    assert first is not None
    added = [draft(rule=f"new-{number}") for number in range(COUNT)]

    done = ledger.run(ledger.core.replay("stripe", "evt_1", added, [{"rule": "new"}]))

    assert done is not None
    assert (done.jobs[:COUNT], len({*done.jobs})) == (first.jobs, 2 * COUNT)
    assert (done.created, done.replaced) == (done.jobs[COUNT:], [])
    assert _stored(ledger, done.jobs) == 2 * COUNT
    assert ledger.run(ledger.core.replay("stripe", "evt_none", added, [])) is None
    assert audit(ledger) == []


def test_slices_that_fail_are_left_to_a_heartbeat_and_do_not_refuse_the_event(
    ledger: LedgerHarness,
) -> None:
    first = accept_first_step(ledger, Event("evt_1"), many_drafts()).acceptance
    assert first is not None
    # Given a store whose do-not-contact list is damaged
    ledger.store.set("hg:suppressed", "damaged")
    again = ledger.accept(Event("evt_1"), *many_drafts())
    assert (again.outcome, again.jobs) == ("duplicate", first.jobs)
    assert _stored(ledger, first.jobs) == JOBS_AT_ONCE
    # When it is mended, nothing is lost
    ledger.store.delete("hg:suppressed")
    assert ledger.accept(Event("evt_1"), *many_drafts()).jobs == first.jobs
    assert _stored(ledger, first.jobs) == COUNT
    assert audit(ledger) == []


def test_an_events_jobs_that_were_never_made_are_pruned_with_it(ledger: LedgerHarness) -> None:
    accept_first_step(ledger, Event("evt_1"), many_drafts())
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.scripts.run(prune(50))
    assert ledger.store.exists("hg:unfinished", "hg:deferred:stripe:evt_1") == 0
