"""Events about a person who is erased: not finished yet, or sent again later."""

from __future__ import annotations

from service.accounts.suppressions import Suppressions
from service.jobs.model import Failure, JobDraft, Recognition
from tests.support.encryption import CIPHER
from tests.support.invariants import audit
from tests.support.ledger import PERSON_KEYS, Event, LedgerHarness, draft
from tests.support.people import erase, job_ids, show
from tests.support.person_search import keys_about
from tests.support.unfinished_events import COUNT, accept_first_step, many_drafts

REJECTED = Failure("template_failed", "text: a is missing")
BODY = b'{"customer_details": {"instagram": "@Some.Handle"}}'
EVENT, OTHER = Event("evt_1"), Event("evt_1", fingerprint="e" * 64)


def bodies(ledger: LedgerHarness) -> int:
    return len(ledger.store.keys("hg:encbody:*"))


def test_jobs_that_are_still_to_be_created_are_erased_too(ledger: LedgerHarness) -> None:
    drafts = many_drafts(metadata={"customer": "Jenny Rosen"})
    accept_first_step(ledger, EVENT, drafts, CIPHER)

    erased = erase(ledger)

    assert (erased.jobs, erased.done) == (COUNT, True)
    assert keys_about(ledger.store, "some.handle", "Jenny") == []
    assert audit(ledger) == []


def test_jobs_that_are_still_to_be_created_are_shown_too(ledger: LedgerHarness) -> None:
    accept_first_step(ledger, EVENT, many_drafts(30), CIPHER)
    assert len(job_ids(show(ledger))) == 30


def test_the_body_of_an_event_that_only_an_erased_job_would_lead_to_is_not_kept(
    ledger: LedgerHarness,
) -> None:
    (job_id,) = ledger.accept(EVENT, draft(once_key="pi_1"), body=BODY).jobs
    erase(ledger)
    # When a later event is about the same thing, or the same comes with other data
    assert ledger.accept(Event("evt_2"), draft(once_key="pi_1"), body=BODY).jobs == [job_id]
    assert ledger.accept(OTHER, draft(once_key="pi_1"), body=BODY).outcome == "duplicate"
    # Then nothing of it is kept that the person's name does not find
    assert bodies(ledger) == 0
    # But what makes a job of its own is kept with it
    ledger.accept(Event("evt_3"), draft(once_key="pi_2"), body=BODY)
    assert bodies(ledger) == len(job_ids(show(ledger))) == 1


def test_the_body_of_an_event_that_is_replayed_to_an_erased_job_is_erased(
    ledger: LedgerHarness,
) -> None:
    (job_id,) = ledger.accept(EVENT, draft(once_key="pi_1"), body=BODY).jobs
    ledger.accept(Event("evt_2"), body=BODY)
    erase(ledger)
    assert bodies(ledger) == 1

    step = ledger.core.replay("stripe", "evt_2", [draft(once_key="pi_1")], [])
    assert ledger.run(step) == ([job_id], [], [])

    assert bodies(ledger) == 0


def accept(ledger: LedgerHarness, event: Event, shape: str, *drafts: JobDraft) -> list[str]:
    """Accept an event in one of its shapes; returns its jobs."""
    notes = [{"rule": each.rule, "outcome": "matched", "message": None} for each in drafts]
    step = ledger.core.accept(
        "stripe", event, drafts, body=BODY, notes=notes, recognition=Recognition(shape)
    )
    return ledger.run(step).jobs


def test_a_refusal_of_a_suppressed_recipient_stays_one_when_it_is_erased(
    ledger: LedgerHarness,
) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put("some.handle", account=None, reason="asked", by="crm"))
    first = accept(ledger, EVENT, "new", draft())
    erase(ledger)

    assert accept(ledger, OTHER, "old", draft()) == first
    assert keys_about(ledger.store, "some.handle") == []


def test_an_erased_job_that_was_rejected_is_not_made_in_another_shape(
    ledger: LedgerHarness,
) -> None:
    first = accept(ledger, EVENT, "new", draft(failure=REJECTED))
    erase(ledger)

    assert accept(ledger, OTHER, "old", draft()) == first
    assert ledger.take_messages() == []


def test_another_shape_makes_the_other_persons_job_and_keeps_nothing_else(
    ledger: LedgerHarness,
) -> None:
    friend = {"rule": "other", "to": "a.friend", "account": "studio"}
    first = accept(ledger, EVENT, "new", draft(), draft(**friend, failure=REJECTED))
    erase(ledger)

    *known, made = accept(ledger, OTHER, "old", draft(), draft(**friend))

    assert known == first
    assert ledger.record(made).to == "a.friend"
    assert bodies(ledger) == 0
    assert keys_about(ledger.store, "some.handle", OTHER.fingerprint) == []
