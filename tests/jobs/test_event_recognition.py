"""Events under other ids and in other shapes, and beside the records of earlier releases."""

from __future__ import annotations

from typing import Any

from service.accounts.suppressions import Suppressions
from service.jobs.model import Failure, JobDraft, Recognition, derived_id
from service.jobs.replies import Acceptance
from tests.support.encryption import stored_text
from tests.support.ledger import PERSON_KEYS, Event, LedgerHarness, draft

EVENT, OTHER = Event("evt_1"), Event("evt_1", fingerprint="e" * 64)
MATCHED = [{"rule": "thank-you", "outcome": "matched", "message": None}]
FAILED = [{"rule": "thank-you", "outcome": "when_error", "message": "when: a is missing"}]
REJECTED = draft(failure=Failure("template_failed", "to: a is missing"))


def accept(ledger: LedgerHarness, event: Event, *drafts: JobDraft, **more: Any) -> Acceptance:
    """Accept an event of the shape `new`, whose rule matched unless other notes are given."""
    given = {"body": b"{}", "recognition": Recognition("new"), "notes": MATCHED} | more
    return ledger.run(ledger.core.accept("stripe", event, drafts, **given))


def test_a_record_without_a_shape_is_compared_as_before(ledger: LedgerHarness) -> None:
    # Given an event that 0.2.0 accepted
    first = accept(ledger, EVENT, draft())
    ledger.store.hdel("hg:event:stripe:evt_1", "shape")

    assert accept(ledger, EVENT, draft()) == Acceptance("duplicate", "evt_1", first.jobs)
    assert accept(ledger, OTHER, draft()).outcome == "conflict"


def test_what_an_earlier_release_recorded_of_the_same_bytes_is_no_conflict(
    ledger: LedgerHarness,
) -> None:
    accept(ledger, Event("evt_1", fingerprint="a" * 64), draft())
    again = accept(ledger, OTHER, draft(), recognition=Recognition("new", raw_fingerprint="a" * 64))
    assert again.outcome == "duplicate"


def test_a_job_of_another_shape_never_takes_the_place_of_one_that_waits(
    ledger: LedgerHarness,
) -> None:
    first = accept(ledger, EVENT, draft())
    again = accept(ledger, OTHER, draft(text="Other"), recognition=Recognition("old"))
    assert again == Acceptance("duplicate", "evt_1", first.jobs)
    assert stored_text(ledger.store, first.jobs[0]) == "Thank you!"


def test_a_rule_that_was_added_since_does_not_run_on_another_shape(ledger: LedgerHarness) -> None:
    accept(ledger, EVENT, notes=[])
    again = accept(ledger, OTHER, draft(), recognition=Recognition("old"))
    assert again == Acceptance("duplicate", "evt_1", [])


def test_a_suppressed_recipient_stays_rejected_in_every_shape(ledger: LedgerHarness) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put("some.handle", account=None, reason="asked", by="crm"))
    first = accept(ledger, EVENT, draft())
    again = accept(ledger, OTHER, draft(), recognition=Recognition("old"))
    assert again.jobs == first.jobs


def test_a_job_for_a_rejected_one_has_an_id_of_its_own_and_one_only(
    ledger: LedgerHarness,
) -> None:
    (rejected,) = accept(ledger, EVENT, REJECTED).jobs
    second = accept(ledger, OTHER, draft(), recognition=Recognition("old"))
    third = accept(ledger, EVENT, REJECTED)

    assert second.jobs[0] == rejected == derived_id("job", "stripe", "evt_1", "thank-you")
    assert len(second.jobs[1]) == len(rejected)
    assert third.jobs == second.jobs
    assert ledger.record(second.jobs[1]).source["event_id"] == "evt_1"


def test_a_condition_that_failed_is_decided_by_another_shape(ledger: LedgerHarness) -> None:
    accept(ledger, EVENT, notes=FAILED)
    second = accept(ledger, OTHER, draft(), recognition=Recognition("old"), body=b"second")
    assert second.jobs == [derived_id("job", "stripe", "evt_1", "thank-you")]
    assert ledger.take_messages() == second.jobs
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == b"second"


def test_an_event_that_was_ignored_makes_no_job_in_another_shape(ledger: LedgerHarness) -> None:
    accept(ledger, EVENT, status="ignored", notes=[])
    other = Event("evt_1", type="other", fingerprint="e" * 64)
    assert accept(ledger, other, draft(), recognition=Recognition("old")).jobs == []


def test_every_body_that_has_reported_an_event_belongs_to_it(ledger: LedgerHarness) -> None:
    # Given an event that came with two bodies
    key, one, other = "k" * 32, "a" * 32, "b" * 32
    both = [Recognition(event_key=key, body_key=body) for body in (one, other)]
    first = accept(ledger, EVENT, draft(), recognition=both[0])
    repeated = Acceptance("duplicate", "evt_1", first.jobs)
    assert accept(ledger, Event("evt_2"), draft(), recognition=both[1]) == repeated
    # Then neither makes a job as another event
    for body in (one, other):
        again = accept(ledger, Event("evt_3"), draft(), recognition=Recognition(body_key=body))
        assert again == repeated


def test_a_known_body_is_forgotten_with_its_event(ledger: LedgerHarness) -> None:
    body = Recognition(body_key="b" * 32)
    accept(ledger, EVENT, draft(), recognition=body)
    ledger.store.delete("hg:event:stripe:evt_1")
    assert accept(ledger, Event("evt_2"), draft(), recognition=body).outcome == "accepted"


def test_a_body_is_known_to_its_own_source_only(ledger: LedgerHarness) -> None:
    body = Recognition(body_key="b" * 32)
    accept(ledger, EVENT, draft(), recognition=body)
    other = ledger.core.accept("github", Event("evt_2"), [draft()], body=b"", recognition=body)
    assert ledger.run(other).outcome == "accepted"
