"""Accepting events: one event and rule create one job and its wake-up, in one step."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from typing import Any

import pytest
import redis

from service.encryption import places
from service.jobs.body_compression import decompress
from service.jobs.ledger import Ledger, QuarantinedEvent
from service.jobs.model import Failure, Status, derived_id
from service.jobs.replies import Acceptance
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, Event, LedgerHarness, draft

EVENT = Event("evt_1")


def test_one_event_and_rule_create_one_job_with_a_wake_up(ledger: LedgerHarness) -> None:
    accepted = ledger.accept(EVENT, draft())

    assert accepted.outcome == "accepted"
    assert accepted.jobs == [derived_id("job", "stripe", "evt_1", "thank-you")]
    assert ledger.status(accepted.jobs[0]) is Status.QUEUED
    assert ledger.take_messages() == accepted.jobs


def test_every_rule_of_an_event_creates_its_own_job(ledger: LedgerHarness) -> None:
    accepted = ledger.accept(EVENT, draft(rule="a"), draft(rule="b", kind="comment", post="Cx"))

    assert len(set(accepted.jobs)) == 2
    assert [ledger.record(job_id).source["rule"] for job_id in accepted.jobs] == ["a", "b"]


def test_a_duplicate_returns_the_same_ids_and_creates_nothing(ledger: LedgerHarness) -> None:
    first = ledger.accept(EVENT, draft())
    keys = sorted(ledger.store.keys("*"))

    # The rules have changed before the second delivery; they are not run.
    again = ledger.accept(EVENT, draft(rule="renamed"), draft(rule="thank-you", text="other"))

    assert again == Acceptance("duplicate", "evt_1", first.jobs)
    assert sorted(ledger.store.keys("*")) == keys
    assert ledger.take_messages() == first.jobs


def test_one_of_several_concurrent_deliveries_of_an_event_is_accepted(
    store_url: str, ledger: LedgerHarness
) -> None:
    async def deliver_at_once() -> list[Acceptance]:
        clients = [async_client(store_url, max_connections=1) for _ in range(8)]
        try:
            return await asyncio.gather(
                *(
                    Ledger(client, TIMES, CIPHER).accept("stripe", EVENT, [draft()], body=b"{}")
                    for client in clients
                    for _ in range(5)
                )
            )
        finally:
            await asyncio.gather(*(client.aclose() for client in clients))

    replies = ledger.run(deliver_at_once())

    assert sorted(reply.outcome for reply in replies) == ["accepted"] + ["duplicate"] * 39
    assert len({tuple(reply.jobs) for reply in replies}) == 1
    assert len(ledger.take_messages()) == 1


def test_the_same_id_from_another_source_is_another_event(ledger: LedgerHarness) -> None:
    first = ledger.accept(EVENT, draft(), source="stripe")
    second = ledger.accept(EVENT, draft(), source="paddle")

    assert second.outcome == "accepted"
    assert first.jobs != second.jobs


def test_the_same_id_with_other_data_is_stored_separately_and_creates_no_job(
    ledger: LedgerHarness,
) -> None:
    accepted = ledger.accept(EVENT, draft(), body=b'{"amount":1}')
    other = Event("evt_1", fingerprint="e" * 64)

    conflict = ledger.accept(other, draft(), body=b'{"amount":2}')

    assert conflict == Acceptance("conflict", "evt_1~" + "e" * 12, [])
    assert ledger.accept(other, draft()) == conflict
    assert [event.status for event in _named(ledger, "evt_1")] == ["accepted"]
    [stored] = _named(ledger, conflict.event_id)
    assert stored.status == "conflict"
    assert ledger.run(ledger.queries.event_body("stripe", stored.id)) == b'{"amount":2}'
    assert ledger.take_messages() == accepted.jobs


def test_two_events_with_one_business_key_create_one_job(ledger: LedgerHarness) -> None:
    first = ledger.accept(Event("evt_1"), draft(once_key="pi_1"))
    second = ledger.accept(Event("evt_2"), draft(once_key="pi_1"))
    third = ledger.accept(Event("evt_3"), draft(once_key="pi_2"))
    other_rule = ledger.accept(Event("evt_4"), draft(once_key="pi_1", rule="other"))

    assert second == Acceptance("accepted", "evt_2", first.jobs)
    assert len({first.jobs[0], third.jobs[0], other_rule.jobs[0]}) == 3


def test_a_fallback_key_stays_with_the_first_job_that_had_it(ledger: LedgerHarness) -> None:
    # Given two payments of one customer
    first = ledger.accept(Event("evt_1"), draft(once_key="pi_1", once_fallbacks=("cus_1",)))
    second = ledger.accept(Event("evt_2"), draft(once_key="pi_2", once_fallbacks=("cus_1",)))
    assert first.jobs != second.jobs
    # Then an event that names the customer alone is about the first
    assert ledger.accept(Event("evt_3"), draft(once_key="cus_1")).jobs == first.jobs


def test_a_business_key_is_remembered_after_its_job_started(ledger: LedgerHarness) -> None:
    first = ledger.accept(Event("evt_1"), draft(once_key="pi_1", delay_ms=100 * DAY))
    ledger.pass_time(130 * DAY)

    assert ledger.accept(Event("evt_2"), draft(once_key="pi_1")).jobs == first.jobs
    ledger.pass_time(11 * DAY)
    assert ledger.accept(Event("evt_3"), draft(once_key="pi_1")).jobs != first.jobs


def test_a_job_rejected_at_creation_has_a_callback_and_no_wake_up(
    ledger: LedgerHarness,
) -> None:
    failure = Failure("recipient_missing", "The event names nobody.")
    job_id = ledger.add_job(to=None, text="", failure=failure, delay_ms=HOUR)

    record = ledger.record(job_id)
    assert (record.status, record.error) == (
        Status.FAILED,
        {"code": "recipient_missing", "message": "The event names nobody.", "retryable": False},
    )
    [delivery] = ledger.deliveries_of(job_id)
    assert delivery["type"] == "job.failed"
    assert ledger.take_messages() == []
    assert ledger.take_messages("callbacks") == [delivery["id"]]


@pytest.mark.parametrize("moment", [{"delay_ms": HOUR}, {"delay_ms": 365 * DAY}])
def test_a_delayed_job_is_scheduled_and_woken_when_due(
    ledger: LedgerHarness, moment: dict[str, int]
) -> None:
    job_id = ledger.add_job(**moment)
    assert (ledger.status(job_id), ledger.take_messages()) == (Status.SCHEDULED, [])

    ledger.pass_time(moment["delay_ms"] - SECOND)
    assert ledger.try_claim(job_id) is None
    assert ledger.heartbeat() == ([], 0)
    ledger.pass_time(SECOND)
    ledger.heartbeat()

    assert (ledger.status(job_id), ledger.take_messages()) == (Status.QUEUED, [job_id])


@pytest.mark.parametrize(
    "parts", [(), ("",), ("stripe", "evt_1", "thank-you"), ("\u2603", "x" * 500)]
)
def test_a_derived_id_is_the_base32_hash_of_its_parts(parts: tuple[str, ...]) -> None:
    # Jobs are found by it, so it must never change.
    raws = [part.encode() for part in parts]
    message = b"".join(len(raw).to_bytes(8, "big") + raw for raw in raws)
    text = base64.b32encode(hashlib.sha256(message).digest()).decode().lower()
    assert derived_id("job", *parts) == f"job_{text[:26]}"


def test_a_start_time_in_the_past_means_now(ledger: LedgerHarness) -> None:
    assert ledger.status(ledger.add_job(run_at_ms=1_000)) is Status.QUEUED


def test_the_body_is_stored_encrypted_and_small_for_its_retention(
    ledger: LedgerHarness,
) -> None:
    body = json.dumps({"line": ["the same"] * 1000}).encode()
    ledger.accept(EVENT, body=body)

    key = "hg:encbody:stripe:evt_1"
    stored: Any = ledger.store.get(key)
    packed = CIPHER.decrypt(stored, places.event_body("stripe", EVENT.id, EVENT.fingerprint))
    ttl: Any = ledger.store.pttl(key)
    assert len(stored) < len(body) / 10
    assert decompress(packed) == body
    assert TIMES.keep_bodies - 60 * SECOND < ttl <= TIMES.keep_bodies
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == body
    # Older releases used zlib, and another key.
    ledger.store.delete(key)
    ledger.store.set("hg:eventbody:stripe:evt_1", zlib.compress(body))
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == body


def test_an_ignored_event_is_stored_without_jobs(ledger: LedgerHarness) -> None:
    event = Event("evt_test", livemode=True)
    ledger.accept(event, status="ignored", notes=[{"rule": None, "outcome": "livemode"}])

    [stored] = _named(ledger, "evt_test")
    assert (stored.status, stored.livemode, stored.jobs) == ("ignored", True, ())
    assert stored.notes == [{"rule": None, "outcome": "livemode"}]
    assert ledger.accept(event, draft()).outcome == "duplicate"


def test_an_invalid_body_is_quarantined_by_its_hash(ledger: LedgerHarness) -> None:
    event = QuarantinedEvent.of(b"not json", "not_json")
    assert ledger.accept(event, body=b"not json", status="quarantined").outcome == "accepted"
    assert ledger.accept(event, body=b"not json", status="quarantined").outcome == "duplicate"

    [stored] = _named(ledger, event.id)
    assert (stored.status, stored.type, stored.livemode) == ("quarantined", "not_json", None)


def test_a_duplicate_sends_a_lost_wake_up_again(ledger: LedgerHarness) -> None:
    job_id = ledger.accept(EVENT, draft()).jobs[0]
    assert ledger.take_messages() == [job_id]

    ledger.accept(EVENT, draft())
    assert ledger.take_messages() == [], "the wake-up may still be on its way"
    ledger.pass_time(TIMES.lease)
    ledger.accept(EVENT, draft())

    assert ledger.take_messages() == [job_id]


def test_a_duplicate_does_not_wake_a_claimed_job(ledger: LedgerHarness) -> None:
    ledger.claim(ledger.accept(EVENT, draft()).jobs[0])
    ledger.take_messages()
    ledger.pass_time(2 * TIMES.lease)

    ledger.accept(EVENT, draft())

    assert ledger.take_messages() == []


def test_text_and_metadata_are_returned_unchanged(ledger: LedgerHarness) -> None:
    metadata = {
        "big": 2**63 + 1,
        "float": 1e-7,
        "none": None,
        "empty": {"list": [], "object": {}, "text": ""},
        "text": 'quote " backslash \\ slash / nul \x00 emoji \U0001f389 \u2028',
    }
    job_id = ledger.add_job(metadata=metadata, to="@314159", text="\U0001f389\n\x00")

    assert ledger.record(job_id).metadata == metadata
    claim = ledger.claim(job_id)
    assert (claim.text, claim.job.to) == ("\U0001f389\n\x00", "@314159")
    ledger.finish(claim)
    assert ledger.deliveries_of(job_id)[0]["payload"]["data"]["metadata"] == metadata


def _named(ledger: LedgerHarness, event_id: str) -> list[Any]:
    return ledger.run(ledger.queries.events_with_id(event_id))


def test_an_error_of_one_event_does_not_affect_others_of_its_batch(ledger: LedgerHarness) -> None:
    # Given an event whose record is damaged
    ledger.store.set("hg:event:stripe:evt_bad", "not a hash")

    async def deliver_at_once() -> list[Acceptance | BaseException]:
        names = ("evt_1", "evt_bad", "evt_2")
        calls = [ledger.core.accept("stripe", Event(name), [draft()], body=b"{}") for name in names]
        return await asyncio.gather(*calls, return_exceptions=True)

    # When
    first, bad, second = ledger.run(deliver_at_once())

    # Then
    assert isinstance(bad, redis.ResponseError)
    assert "WRONGTYPE" in str(bad)
    for accepted in (first, second):
        assert isinstance(accepted, Acceptance)
        assert (accepted.outcome, len(accepted.jobs)) == ("accepted", 1)
    assert ledger.store.zcard("hg:jobs") == 2
