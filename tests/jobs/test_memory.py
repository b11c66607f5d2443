"""When the server's memory is short: nothing new is begun, and what is begun still ends."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from service.jobs.model import Status
from service.photos.photo import Photo
from service.redis.client import REDIS_ERRORS
from tests.support.invariants import audit
from tests.support.ledgers import SECOND, TIMES, Books, Event, draft
from tests.support.store import short_memory


def _contents(store: redis.Redis) -> dict[bytes, Any]:
    return {key: store.dump(key) for key in sorted(store.scan_iter("*"))}


def test_an_event_is_refused_and_nothing_of_it_is_written(books: Books) -> None:
    books.accept(Event("evt_before"), draft())
    before = _contents(books.store)

    with short_memory(books.store), pytest.raises(redis.RedisError) as refused:
        books.accept(Event("evt_1"), draft(once_key="k"), draft(rule="other"))

    assert isinstance(refused.value, REDIS_ERRORS)
    assert _contents(books.store) == before
    assert books.accept(Event("evt_1"), draft()).outcome == "accepted"


def test_a_direct_job_and_a_retry_are_refused_whole(books: Books) -> None:
    failed = books.sending(books.job())
    books.finish(failed, Status.FAILED)
    before = _contents(books.store)

    with short_memory(books.store):
        with pytest.raises(redis.RedisError):
            books.run(books.ledger.create(draft(), caller="shop", idempotency_key="k", request="r"))
        with pytest.raises(redis.RedisError):
            books.run(books.ledger.retry(failed.id, "api:test"))
        photo = draft(text="", photo=Photo(b"a photo", 1, 1, "ab" * 32))
        with pytest.raises(redis.RedisError):
            books.run(books.ledger.create(photo, caller="shop", idempotency_key=None, request="r"))

    assert _contents(books.store) == before


def test_no_write_is_begun(books: Books) -> None:
    claim, queued = books.claim(books.job()), books.job(account="studio")
    before = _contents(books.store)

    with short_memory(books.store):
        with pytest.raises(redis.RedisError):
            books.intend(claim)
        with pytest.raises(redis.RedisError):
            books.try_claim(queued)

    assert _contents(books.store) == before
    assert books.intend(claim) == "ok"


def test_what_was_begun_ends_and_owes_its_callback(books: Books) -> None:
    done, refused, parked = (
        books.sending(books.job(account=name)) for name in ("shop", "studio", "depot")
    )
    with short_memory(books.store):
        assert books.finish(done)
        assert books.finish(refused, Status.FAILED)
        assert books.release(parked, Status.SENDING, after_ms=SECOND, charge="free") == "ok"

    assert [delivery["type"] for delivery in books.owed(done.id)] == ["job.succeeded"]
    assert len(books.wakeups("callbacks")) == 2
    assert audit(books) == []


def test_a_claim_is_kept_alive(books: Books) -> None:
    claim = books.sending(books.job())
    with short_memory(books.store):
        for _ in range(4):
            books.pass_time(TIMES.lease // 2)
            assert books.tick(claim)[0] == []
        assert books.finish(claim)


def test_people_can_still_stop_things(books: Books) -> None:
    queued = books.job()
    with short_memory(books.store):
        assert books.run(books.ledger.cancel(queued, "api:test")) == "ok"
        books.run(books.doors.pause("shop"))

    assert books.status(queued) is Status.CANCELED
    assert books.run(books.doors.show("shop"))["status"] == "paused"


def test_callbacks_are_recorded_and_old_records_are_dropped(books: Books) -> None:
    books.finish(books.sending(books.job()))
    [delivery_id] = books.wakeups("callbacks")
    claim = books.run(books.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    with short_memory(books.store):
        assert books.run(books.deliveries.record(claim, "delivered", {"status": 200}))
        books.pass_time(TIMES.keep + SECOND)
        assert books.run(books.ledger.prune()) == 3
        assert len(books.run(books.ledger.rescue_stranded())) == 0


def test_jobs_accounts_and_previews_are_still_shown(books: Books) -> None:
    books.job()
    waiter = books.job()
    with short_memory(books.store):
        assert books.shown(waiter)["wait"]["reason"] == "turn"
        assert books.run(books.doors.show("shop"))["jobs"]["in_line"] == 1
        assert books.run(books.ledger.preview(draft(), caller="shop")).decision == "wait"
