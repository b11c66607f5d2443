"""How jobs end: expiry, cancel and retry, and the delivery that each end creates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.model import FINAL, Failure, Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, Event, LedgerHarness, draft


@pytest.mark.parametrize("stage", [Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD])
def test_a_job_that_has_not_started_expires(ledger: LedgerHarness, stage: Status) -> None:
    job_id = job_in(ledger, stage, expires_ms=60 * SECOND)

    ledger.pass_time(61 * SECOND)
    ledger.heartbeat()

    record = ledger.record(job_id)
    assert (record.status, record.error and record.error["code"]) == (Status.EXPIRED, "expired")
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.expired"]
    assert ledger.try_claim(job_id) is None
    assert audit(ledger) == []


def test_an_expired_job_cannot_be_claimed_even_before_a_heartbeat(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(expires_ms=SECOND)
    ledger.pass_time(2 * SECOND)

    assert ledger.try_claim(job_id) is None
    assert ledger.status(job_id) is Status.EXPIRED


def test_a_running_job_expires_before_its_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job(expires_ms=5 * SECOND))
    ledger.pass_time(6 * SECOND)
    ledger.heartbeat(claim)
    assert ledger.status(claim.id) is Status.RUNNING

    assert ledger.record_intent(claim) == "expired"
    assert ledger.status(claim.id) is Status.EXPIRED
    assert audit(ledger) == []


def test_a_running_job_released_too_late_expires(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job(expires_ms=5 * SECOND))
    ledger.pass_time(6 * SECOND)

    assert ledger.release(claim, Status.WAITING, after_ms=HOUR) == "ended"
    assert ledger.status(claim.id) is Status.EXPIRED


def test_a_write_in_progress_does_not_expire(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job(expires_ms=5 * SECOND))
    ledger.pass_time(6 * SECOND)
    ledger.heartbeat(claim)

    assert ledger.finish(claim)
    assert ledger.status(claim.id) is Status.SUCCEEDED


@pytest.mark.parametrize("to", [Status.QUEUED, Status.WAITING, Status.HELD])
def test_an_unsent_job_expires_although_its_expiry_passed_during_its_write(
    ledger: LedgerHarness, to: Status
) -> None:
    claim = ledger.claim_and_send(ledger.add_job(expires_ms=5 * SECOND))
    ledger.pass_time(6 * SECOND)
    ledger.heartbeat(claim)

    effect = AccountEffect(hold="challenge")
    assert ledger.release(claim, to, after_ms=0, effect=effect) == "ok"
    ledger.heartbeat()
    ledger.try_claim(claim.id)

    assert ledger.status(claim.id) is Status.EXPIRED
    assert audit(ledger) == []


@pytest.mark.parametrize("stage", [Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD])
def test_a_job_that_has_not_started_is_canceled_at_once(
    ledger: LedgerHarness, stage: Status
) -> None:
    job_id = job_in(ledger, stage)

    assert ledger.run(ledger.core.cancel(job_id, "api:ann")) == "ok"

    assert ledger.status(job_id) is Status.CANCELED
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.canceled"]
    last = ledger.run(ledger.queries.timeline(job_id))[-1]
    assert (last["status"], last["by"]) == ("canceled", "api:ann")
    assert audit(ledger) == []


def test_canceling_removes_a_waiting_job_and_passes_on_a_turn(
    ledger: LedgerHarness,
) -> None:
    holder = ledger.claim(ledger.add_job())
    waiting, granted, last = ledger.add_job(), ledger.add_job(), ledger.add_job()
    for job_id in (waiting, granted, last):
        ledger.try_claim(job_id)

    assert ledger.run(ledger.core.cancel(waiting, "api:ann")) == "ok"
    ledger.finish(holder)
    assert ledger.turn() == granted
    assert ledger.run(ledger.core.cancel(granted, "api:ann")) == "ok"

    assert ledger.turn() == last
    assert audit(ledger) == []


def test_a_canceled_running_job_stops_at_its_intent(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())

    assert ledger.run(ledger.core.cancel(claim.id, "api:ann")) == "asked"
    assert ledger.status(claim.id) is Status.RUNNING
    assert ledger.record_intent(claim) == "canceled"

    assert ledger.status(claim.id) is Status.CANCELED
    assert not ledger.finish(claim)
    assert len(ledger.deliveries_of(claim.id)) == 1


def test_a_running_job_released_after_a_cancel_request_is_canceled(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.run(ledger.core.cancel(claim.id, "api:ann"))

    assert ledger.release(claim, Status.QUEUED) == "ended"
    assert ledger.status(claim.id) is Status.CANCELED


def test_an_unknown_job_cannot_be_canceled_or_retried(ledger: LedgerHarness) -> None:
    assert ledger.run(ledger.core.cancel("job_unknown", "api:ann")) == "none"
    assert ledger.run(ledger.core.retry("job_unknown", "api:ann")) == "none"


def test_a_retry_opens_the_next_run_of_the_same_job(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(expires_ms=HOUR)
    ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    ledger.take_messages()
    ledger.pass_time(2 * HOUR)

    assert ledger.run(ledger.core.retry(job_id, "api:ann")) == "ok"
    record = ledger.record(job_id)
    assert (record.status, record.run, record.attempts) == (Status.QUEUED, 2, 0)
    assert (record.error, record.finished_ms) == (None, 0)
    assert ledger.take_messages() == [job_id]

    assert ledger.run(ledger.core.cancel(job_id, "api:ann")) == "late", "it may have been sent"
    claim = ledger.claim(job_id)
    assert claim.verify_first, "an uncertain write is verified before anything is sent"
    assert ledger.record_intent(claim) == "lost"
    ledger.finish(claim)
    first, second = ledger.deliveries_of(job_id)
    assert (first["type"], second["type"]) == ("job.uncertain", "job.succeeded")
    assert (first["run"], second["run"], first["id"] != second["id"]) == (1, 2, True)
    assert audit(ledger) == []


def test_a_retried_job_is_not_pruned_with_its_first_run(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.FAILED)
    ledger.pass_time(6 * DAY)
    assert ledger.run(ledger.core.retry(job_id, "api:ann")) == "ok"

    ledger.pass_time(TIMES.keep)
    ledger.run(ledger.core.prune())

    assert ledger.claim(job_id).text == "Thank you!"


def test_a_job_rejected_at_creation_cannot_be_retried(ledger: LedgerHarness) -> None:
    rejected = draft(to=None, text="", failure=Failure("invalid_recipient", "to: no handle"))
    job_id = ledger.accept(Event("evt_1"), rejected).jobs[0]
    assert ledger.run(ledger.core.retry(job_id, "api:ann")) == "empty"
    assert ledger.record(job_id).status is Status.FAILED


def test_a_retry_without_the_text_is_rejected(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.FAILED)
    ledger.pass_time(TIMES.keep_bodies + SECOND)
    before = ledger.record(job_id)

    assert ledger.run(ledger.core.retry(job_id, "api:ann")) == "gone"
    assert ledger.record(job_id) == before


@pytest.mark.parametrize("end", sorted(FINAL))
def test_every_end_creates_one_delivery_with_the_jobs_outcome(
    ledger: LedgerHarness, end: Status
) -> None:
    job_id = job_in(ledger, end, metadata={"order": 7})

    [delivery] = ledger.deliveries_of(job_id)
    payload = delivery["payload"]
    assert delivery["type"] == payload["type"] == f"job.{end}"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(payload["timestamp"])).seconds < 60
    data = payload["data"]
    job = ledger.api_job(job_id)
    for name in ("kind", "status", "attempts", "result", "error", "metadata", "source"):
        assert data[name] == job[name], name
    assert data["job_id"] == job_id


def test_a_job_without_a_callback_creates_no_delivery(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED, callback=None)

    assert ledger.deliveries_of(job_id) == []
    assert ledger.take_messages("callbacks") == []


def test_a_large_result_is_referenced_instead_of_sent(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    result = {"rows": ["x" * 100] * 300}
    step = ledger.claims.finish(claim, Status.SUCCEEDED, result=result)
    assert ledger.run(step)

    [delivery] = ledger.deliveries_of(claim.id)
    data = delivery["payload"]["data"]
    assert (data["result"], data["result_url"]) == (None, f"/jobs/{claim.id}/result")
    assert ledger.record(claim.id).result == result
    assert len(json.dumps(delivery["payload"])) < 20_000


def test_errors_with_any_character_are_valid_json(ledger: LedgerHarness) -> None:
    message = 'quote " backslash \\ line \n half \ud83d null \x00 emoji \U0001f389'
    job_id = ledger.add_job(failure=Failure("odd", message.replace("\ud83d", "")))
    claim = ledger.claim_and_send(ledger.add_job(account="studio"))
    step = ledger.claims.finish(claim, Status.FAILED, failure=Failure("odd", message))
    assert ledger.run(step)

    for failed_id in (job_id, claim.id):
        [delivery] = ledger.deliveries_of(failed_id)
        assert delivery["payload"]["data"]["error"]["message"].startswith('quote " backslash \\')


def test_a_callbacks_timestamp_is_the_stores_time(ledger: LedgerHarness) -> None:
    clock: Any = ledger.store.time()
    [delivery] = ledger.deliveries_of(job_in(ledger, Status.CANCELED))

    timestamp = datetime.fromisoformat(delivery["payload"]["timestamp"])
    assert 0 <= timestamp.timestamp() - clock[0] < 60
    assert delivery["payload"]["timestamp"].endswith("Z")


def test_an_ended_jobs_text_expires_before_its_record(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED, text="private words")
    ledger.pass_time(TIMES.keep_bodies + SECOND)

    assert ledger.store.get(f"hg:jobtext:{job_id}") is None
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert draft().text not in str(ledger.store.hgetall(f"hg:job:{job_id}"))
