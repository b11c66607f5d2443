"""A person is erased, and nothing is sent twice because of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.jobs.model import Failure, Status
from service.jobs.person_keys import PersonKeys
from service.people import erasure
from tests.support.encryption import SECRET_KEY
from tests.support.invariants import audit
from tests.support.ledger import (
    DAY,
    HOUR,
    PERSON_KEYS,
    TIMES,
    Event,
    LedgerHarness,
    draft,
    open_ledger,
)
from tests.support.limited_ledger import times_with_limits
from tests.support.people import erase, job_ids, show
from tests.support.person_search import keys_about

HANDLE, PK = "some.handle", "3141592653"
NEW_SECRET = "another secret key for the tests, longer than thirty-two characters"
METADATA = {"customer": "Jenny Rosen"}
BODY = b'{"customer_details": {"name": "Jenny Rosen", "instagram": "@Some.Handle"}}'


def send_dm(ledger: LedgerHarness, **changes: Any) -> str:
    """Send a DM to the person as a rule does; return the job's id."""
    accepted = ledger.accept(Event("evt_1"), draft(metadata=METADATA, **changes), body=BODY)
    claim = ledger.claim(accepted.jobs[0])
    assert ledger.record_intent(claim, pk=PK) == "ok"
    assert ledger.finish(claim)
    return claim.id


def suppressions(ledger: LedgerHarness) -> Suppressions:
    return Suppressions(ledger.client, PERSON_KEYS)


def test_nothing_is_found_afterwards_and_the_same_event_makes_no_second_dm(
    ledger: LedgerHarness,
) -> None:
    # Given a DM that was sent, and what is cached about its recipient
    job_id = send_dm(ledger)
    ledger.run(
        UserIdCache(ledger.client, PERSON_KEYS).remember(HANDLE, PK, "Renamed.One", account="shop")
    )
    words = (HANDLE, PK, "Jenny", "Thank you!", "renamed.one")
    assert keys_about(ledger.store, *words)

    # When
    erased = erase(ledger)

    # Then
    assert (erased.jobs, erased.done) == (1, True)
    assert keys_about(ledger.store, *words) == []
    assert ledger.store.keys("hg:encbody:*") == []
    assert show(ledger)["items"] == []
    assert audit(ledger) == []
    # And the event is known
    again = ledger.accept(Event("evt_1"), draft(metadata=METADATA), body=BODY)
    assert (again.outcome, again.jobs) == ("duplicate", [job_id])
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert ledger.take_messages() == [job_id]


def test_what_has_not_begun_is_canceled_and_its_callback_has_no_personal_data(
    ledger: LedgerHarness,
) -> None:
    scheduled = ledger.add_job(delay_ms=HOUR, metadata=METADATA)
    first, waiting = ledger.add_job(account="studio"), ledger.add_job(account="studio")

    assert erase(ledger).jobs == 3

    assert {ledger.status(each) for each in (scheduled, first, waiting)} == {Status.CANCELED}
    [delivery] = ledger.deliveries_of(scheduled)
    assert delivery["status"] == "pending"
    assert delivery["payload"]["type"] == "job.canceled"
    assert delivery["payload"]["data"]["metadata"] is None
    assert keys_about(ledger.store, HANDLE, "Jenny", "Thank you!") == []
    assert audit(ledger) == []


def test_nothing_is_left_of_an_error_that_was_longer(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    failure = Failure("refused", f"Instagram refused it, {'and said so ' * 10} to Jenny.")
    ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=failure))
    record = f"hg:job:{claim.id}"
    assert record in keys_about(ledger.store, "Jenny")

    assert erase(ledger).done

    assert record not in keys_about(ledger.store, "Jenny")


@pytest.mark.parametrize("status", [Status.FAILED, Status.SUCCEEDED])
def test_a_callback_that_is_owed_goes_out_without_personal_data(
    ledger: LedgerHarness, status: Status
) -> None:
    claim = ledger.claim_and_send(ledger.add_job(metadata=METADATA))
    ledger.finish(claim, status)

    erase(ledger)

    [delivery_id] = ledger.take_messages("callbacks")
    owed = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert owed is not None
    payload = json.loads(owed.payload)
    assert payload["type"] == f"job.{status}"
    assert payload["data"]["job_id"] == claim.id
    assert payload["data"]["metadata"] is payload["data"]["result"] is None
    code = None if status is Status.SUCCEEDED else "refused"
    assert (payload["data"]["error"] or {}).get("code") == code


def test_who_is_not_to_be_written_to_stays_so_under_a_hash(ledger: LedgerHarness) -> None:
    entries = suppressions(ledger)
    ledger.run(entries.put(HANDLE, account=None, reason="Jenny asked", by="first"))
    ledger.run(entries.put(f"pk:{PK}", account="studio", reason=None, by="first"))
    send_dm(ledger, account="depot", to=PK)
    ledger.run(UserIdCache(ledger.client, PERSON_KEYS).remember(HANDLE, PK, account="shop"))

    erase(ledger)

    assert keys_about(ledger.store, HANDLE, PK, "Jenny") == []
    # Then a new DM by name is refused, and so is one by the id once that is known
    refused = ledger.record(ledger.add_job())
    assert (refused.error or {})["code"] == "recipient_suppressed"
    claim = ledger.claim(ledger.add_job(account="studio", to="new.name"))
    assert ledger.record_intent(claim, pk=PK) == "refused"
    # And so is one to another name or an id, if it turns out to be the same user
    claim = ledger.claim(ledger.add_job(account="depot", to="27"))
    intent = ledger.claims.record_intent(claim, pk="27", context="token", username="Some.Handle")
    assert ledger.run(intent) == "refused"
    # And the list still finds the entry by its name
    found = ledger.run(entries.get(HANDLE, account=None))
    assert found is not None
    assert (found.reason, found.by) == (None, "first")
    page, _ = ledger.run(entries.page(cursor=None, limit=10))
    assert [entry.public()["username"] for entry in page] == [None, None]
    assert ledger.run(entries.remove(HANDLE, account=None))
    assert ledger.run(entries.get(HANDLE, account=None)) is None


@pytest.mark.parametrize("rule", ["thank-you", None])
def test_the_same_message_is_still_not_sent_again_so_soon(
    store_url: str, ledger: LedgerHarness, rule: str | None
) -> None:
    with open_ledger(store_url, times_with_limits(repeat_ms=7 * DAY)) as limited:
        send_dm(limited, rule=rule)
        erase(limited)
        assert keys_about(limited.store, HANDLE, PK) == []

        claim = limited.claim(limited.add_job(rule=rule))
        assert limited.record_intent(claim, pk=PK) == "refused"
        assert (limited.record(claim.id).error or {})["code"] == "recipient_repeated"


def test_a_repeated_request_still_gets_its_job(ledger: LedgerHarness) -> None:
    def create(request: str) -> tuple[str, str]:
        step = ledger.core.create(
            draft(rule=None), caller="first", idempotency_key="order-1", request=request
        )
        creation = ledger.run(step)
        return creation.outcome, creation.job_id

    _, job_id = create("text for Jenny")
    [key] = ledger.store.keys("hg:idem:*")
    before: Any = ledger.store.hget(key, "request")
    erase(ledger)

    assert ledger.store.hget(key, "request") != before
    assert create("text for Jenny") == ("repeated", job_id)
    assert create("another text") == ("conflict", job_id)


COMMENT = {"kind": "comment", "to": None, "post": "Cx", "text": "for @one and @some.handle"}


@pytest.mark.parametrize("rotated_first", [True, False])
@pytest.mark.parametrize("changes", [{}, COMMENT], ids=["dm", "comment"])
def test_a_repeated_request_gets_its_job_after_the_secret_key_was_rotated(
    store_url: str, ledger: LedgerHarness, changes: dict[str, Any], *, rotated_first: bool
) -> None:
    rotating = replace(TIMES, person_keys=PersonKeys((NEW_SECRET, SECRET_KEY)))

    def create(by: LedgerHarness) -> tuple[str, str]:
        wanted = draft(rule=None, **changes)
        step = by.core.create(wanted, caller="first", idempotency_key="order-1", request="r")
        creation = by.run(step)
        return creation.outcome, creation.job_id

    _, job_id = create(ledger)
    ledger.finish(ledger.claim_and_send(job_id))
    assert erase(ledger, config=rotating if rotated_first else None).jobs == 1

    with open_ledger(store_url, rotating) as rotated:
        assert create(rotated) == ("repeated", job_id)


def test_the_bodies_of_further_events_about_the_same_thing_are_erased(
    ledger: LedgerHarness,
) -> None:
    first = ledger.accept(Event("evt_1"), draft(once_key="pi_1"), body=BODY)
    ledger.accept(Event("evt_2"), draft(once_key="pi_1"), body=BODY)
    ledger.accept(Event("evt_1", fingerprint="e" * 64), draft(), body=BODY)
    assert len(ledger.store.keys("hg:encbody:*")) == 3

    erase(ledger)

    assert ledger.store.keys("hg:encbody:*") == []
    assert ledger.accept(Event("evt_3"), draft(once_key="pi_1")).jobs == first.jobs


def test_an_erasure_that_was_cut_off_goes_on(
    ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given jobs by username that show its id, and more by that id alone
    send_dm(ledger)
    for number in range(30):
        ledger.add_job(account=f"account-{number}", to=HANDLE if number % 2 else PK)
    monkeypatch.setattr(erasure, "MAX_JOBS", 10)

    erased, calls = 0, 0
    while True:
        step = erase(ledger)
        erased, calls = erased + step.jobs, calls + 1
        if step.done:
            break

    assert (erased, calls) == (31, 3)
    assert keys_about(ledger.store, HANDLE, PK) == []


def test_an_erased_job_is_not_retried(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    ledger.finish(claim, Status.FAILED)
    erase(ledger)

    assert ledger.run(ledger.core.retry(claim.id, "api:test")) == "erased"
    assert ledger.api_job(claim.id)["erased_at"] is not None


def test_another_person_is_left_alone(ledger: LedgerHarness) -> None:
    other = ledger.add_job(to="some.handle2", text="Hello, you!")
    mentioned = ledger.add_job(
        kind="comment", to=None, post="Cx", text="for @some.handle_", rule="c"
    )
    send_dm(ledger, account="studio")

    erase(ledger)

    assert ledger.record(other).to == "some.handle2"
    assert job_ids(show(ledger, "some.handle2")) == [other]
    assert ledger.status(mentioned) is not Status.CANCELED


def test_the_feed_forgets_what_erased_jobs_have_found(ledger: LedgerHarness) -> None:
    def results() -> int:
        entries: Any = ledger.store.xrange("hg:feed")
        return sum(b"result" in fields for _, fields in entries)

    send_dm(ledger)
    assert results() == 1

    erase(ledger)

    assert results() == 0


def test_the_feed_forgets_the_messages_of_erased_jobs_errors(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    failure = Failure("recipient_not_found", f"There is no account @{HANDLE}.")
    assert ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=failure)) == "ok"
    assert HANDLE in str(ledger.store.xrange("hg:feed"))

    erase(ledger)

    assert HANDLE not in str(ledger.store.xrange("hg:feed"))
