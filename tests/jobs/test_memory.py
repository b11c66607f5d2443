"""A store without memory: nothing new is started, and what has started can finish."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from service.jobs.model import Status
from service.photos.photo import Photo
from service.redis.client import REDIS_ERRORS
from tests.support.invariants import audit
from tests.support.ledger import SECOND, TIMES, Event, LedgerHarness, draft
from tests.support.store import out_of_memory


def _contents(store: redis.Redis) -> dict[bytes, Any]:
    return {key: store.dump(key) for key in sorted(store.scan_iter("*"))}


def test_an_event_is_rejected_and_nothing_is_written(ledger: LedgerHarness) -> None:
    ledger.accept(Event("evt_before"), draft())
    before = _contents(ledger.store)

    with out_of_memory(ledger.store), pytest.raises(redis.RedisError) as raised:
        ledger.accept(Event("evt_1"), draft(once_key="k"), draft(rule="other"))

    assert isinstance(raised.value, REDIS_ERRORS)
    assert _contents(ledger.store) == before
    assert ledger.accept(Event("evt_1"), draft()).outcome == "accepted"


def test_an_api_job_and_a_retry_are_rejected_and_nothing_is_written(ledger: LedgerHarness) -> None:
    failed = ledger.claim_and_send(ledger.add_job())
    ledger.finish(failed, Status.FAILED)
    before = _contents(ledger.store)

    with out_of_memory(ledger.store):
        with pytest.raises(redis.RedisError):
            ledger.run(ledger.core.create(draft(), caller="shop", idempotency_key="k", request="r"))
        with pytest.raises(redis.RedisError):
            ledger.run(ledger.core.retry(failed.id, "api:test"))
        photo = draft(text="", photo=Photo(b"a photo", 1, 1, "ab" * 32))
        with pytest.raises(redis.RedisError):
            ledger.run(ledger.core.create(photo, caller="shop", idempotency_key=None, request="r"))

    assert _contents(ledger.store) == before


def test_no_write_is_started(ledger: LedgerHarness) -> None:
    claim, queued = ledger.claim(ledger.add_job()), ledger.add_job(account="studio")
    before = _contents(ledger.store)

    with out_of_memory(ledger.store):
        with pytest.raises(redis.RedisError):
            ledger.record_intent(claim)
        with pytest.raises(redis.RedisError):
            ledger.try_claim(queued)

    assert _contents(ledger.store) == before
    assert ledger.record_intent(claim) == "ok"


def test_a_started_job_finishes_and_creates_its_delivery(ledger: LedgerHarness) -> None:
    done, failing, released = (
        ledger.claim_and_send(ledger.add_job(account=name)) for name in ("shop", "studio", "depot")
    )
    with out_of_memory(ledger.store):
        assert ledger.finish(done)
        assert ledger.finish(failing, Status.FAILED)
        assert ledger.release(released, Status.SENDING, after_ms=SECOND, charge="free") == "ok"

    assert [delivery["type"] for delivery in ledger.deliveries_of(done.id)] == ["job.succeeded"]
    assert len(ledger.take_messages("callbacks")) == 2
    assert audit(ledger) == []


def test_a_claim_is_renewed(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    with out_of_memory(ledger.store):
        for _ in range(4):
            ledger.pass_time(TIMES.lease // 2)
            assert ledger.heartbeat(claim)[0] == []
        assert ledger.finish(claim)


def test_people_can_still_cancel_and_pause(ledger: LedgerHarness) -> None:
    queued = ledger.add_job()
    with out_of_memory(ledger.store):
        assert ledger.run(ledger.core.cancel(queued, "api:test")) == "ok"
        ledger.run(ledger.controls.pause("shop"))

    assert ledger.status(queued) is Status.CANCELED
    assert ledger.run(ledger.controls.show("shop"))["status"] == "paused"


def test_deliveries_are_recorded_and_old_records_are_pruned(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    [delivery_id] = ledger.take_messages("callbacks")
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    with out_of_memory(ledger.store):
        assert ledger.run(ledger.deliveries.record(claim, "delivered", {"status": 200}))
        ledger.pass_time(TIMES.keep + SECOND)
        assert ledger.run(ledger.core.prune()) == 3
        assert len(ledger.run(ledger.core.rescue_stranded())) == 0


def test_jobs_accounts_and_previews_can_still_be_read(ledger: LedgerHarness) -> None:
    ledger.add_job()
    waiter = ledger.add_job()
    with out_of_memory(ledger.store):
        assert ledger.api_job(waiter)["wait"]["reason"] == "turn"
        assert ledger.run(ledger.controls.show("shop"))["jobs"]["waiting"] == 1
        assert ledger.run(ledger.core.preview(draft(), caller="shop")).decision == "wait"
