"""How jobs end: expiry, cancel, retry, and the callback that each end owes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from service.jobs.claims import AccountEffect
from service.jobs.model import FINAL, Failure, Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, HOUR, SECOND, TIMES, Books, Event, draft


@pytest.mark.parametrize("stage", [Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD])
def test_what_has_not_begun_expires_by_itself(books: Books, stage: Status) -> None:
    job_id = job_in(books, stage, expires_ms=60 * SECOND)

    books.pass_time(61 * SECOND)
    books.tick()

    record = books.record(job_id)
    assert (record.status, record.error and record.error["code"]) == (Status.EXPIRED, "expired")
    assert [delivery["type"] for delivery in books.owed(job_id)] == ["job.expired"]
    assert books.try_claim(job_id) is None
    assert audit(books) == []


def test_an_expired_job_is_not_claimed_even_before_the_pulse_sees_it(books: Books) -> None:
    job_id = books.job(expires_ms=SECOND)
    books.pass_time(2 * SECOND)

    assert books.try_claim(job_id) is None
    assert books.status(job_id) is Status.EXPIRED


def test_a_running_job_expires_before_its_write(books: Books) -> None:
    claim = books.claim(books.job(expires_ms=5 * SECOND))
    books.pass_time(6 * SECOND)
    books.tick(claim)
    assert books.status(claim.id) is Status.RUNNING

    assert books.intend(claim) == "expired"
    assert books.status(claim.id) is Status.EXPIRED
    assert audit(books) == []


def test_a_running_job_that_is_given_back_too_late_expires(books: Books) -> None:
    claim = books.claim(books.job(expires_ms=5 * SECOND))
    books.pass_time(6 * SECOND)

    assert books.release(claim, Status.WAITING, after_ms=HOUR) == "ended"
    assert books.status(claim.id) is Status.EXPIRED


def test_a_write_in_progress_does_not_expire(books: Books) -> None:
    claim = books.sending(books.job(expires_ms=5 * SECOND))
    books.pass_time(6 * SECOND)
    books.tick(claim)

    assert books.finish(claim)
    assert books.status(claim.id) is Status.SUCCEEDED


@pytest.mark.parametrize("to", [Status.QUEUED, Status.WAITING, Status.HELD])
def test_a_refused_write_expires_although_its_alarm_rang_while_it_was_sent(
    books: Books, to: Status
) -> None:
    claim = books.sending(books.job(expires_ms=5 * SECOND))
    books.pass_time(6 * SECOND)
    books.tick(claim)

    effect = AccountEffect(hold="challenge")
    assert books.release(claim, to, after_ms=0, effect=effect) == "ok"
    books.tick()
    books.try_claim(claim.id)

    assert books.status(claim.id) is Status.EXPIRED
    assert audit(books) == []


@pytest.mark.parametrize("stage", [Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD])
def test_what_has_not_begun_is_canceled_at_once(books: Books, stage: Status) -> None:
    job_id = job_in(books, stage)

    assert books.run(books.ledger.cancel(job_id, "api:ann")) == "ok"

    assert books.status(job_id) is Status.CANCELED
    assert [delivery["type"] for delivery in books.owed(job_id)] == ["job.canceled"]
    last = books.run(books.reader.timeline(job_id))[-1]
    assert (last["status"], last["by"]) == ("canceled", "api:ann")
    assert audit(books) == []


def test_a_canceled_waiter_leaves_the_line_and_a_canceled_turn_goes_on(books: Books) -> None:
    holder = books.claim(books.job())
    gone, granted, last = books.job(), books.job(), books.job()
    for job_id in (gone, granted, last):
        books.try_claim(job_id)

    assert books.run(books.ledger.cancel(gone, "api:ann")) == "ok"
    books.finish(holder)
    assert books.turn() == granted
    assert books.run(books.ledger.cancel(granted, "api:ann")) == "ok"

    assert books.turn() == last
    assert audit(books) == []


def test_a_running_job_is_asked_and_stops_at_its_intent(books: Books) -> None:
    claim = books.claim(books.job())

    assert books.run(books.ledger.cancel(claim.id, "api:ann")) == "asked"
    assert books.status(claim.id) is Status.RUNNING
    assert books.intend(claim) == "canceled"

    assert books.status(claim.id) is Status.CANCELED
    assert not books.finish(claim)
    assert len(books.owed(claim.id)) == 1


def test_a_running_job_that_is_given_back_after_a_cancel_ends(books: Books) -> None:
    claim = books.claim(books.job())
    books.run(books.ledger.cancel(claim.id, "api:ann"))

    assert books.release(claim, Status.QUEUED) == "ended"
    assert books.status(claim.id) is Status.CANCELED


def test_an_unknown_job_is_neither_canceled_nor_retried(books: Books) -> None:
    assert books.run(books.ledger.cancel("job_unknown", "api:ann")) == "none"
    assert books.run(books.ledger.retry("job_unknown", "api:ann")) == "none"


def test_a_retry_opens_the_next_run_of_the_same_job(books: Books) -> None:
    job_id = books.job(expires_ms=HOUR)
    books.finish(books.sending(job_id), Status.UNCERTAIN)
    books.wakeups()
    books.pass_time(2 * HOUR)

    assert books.run(books.ledger.retry(job_id, "api:ann")) == "ok"
    record = books.record(job_id)
    assert (record.status, record.run, record.attempts) == (Status.QUEUED, 2, 0)
    assert (record.error, record.finished_ms) == (None, 0)
    assert books.wakeups() == [job_id]

    assert books.run(books.ledger.cancel(job_id, "api:ann")) == "late", "it may have been sent"
    claim = books.claim(job_id)
    assert claim.verify_first, "an uncertain write is looked for before anything is sent"
    assert books.intend(claim) == "lost"
    books.finish(claim)
    first, second = books.owed(job_id)
    assert (first["type"], second["type"]) == ("job.uncertain", "job.succeeded")
    assert (first["run"], second["run"], first["id"] != second["id"]) == (1, 2, True)
    assert audit(books) == []


def test_a_retried_job_is_not_forgotten_by_the_end_of_its_first_run(books: Books) -> None:
    job_id = job_in(books, Status.FAILED)
    books.pass_time(6 * DAY)
    assert books.run(books.ledger.retry(job_id, "api:ann")) == "ok"

    books.pass_time(TIMES.keep)
    books.run(books.ledger.prune())

    assert books.claim(job_id).text == "Thank you!"


def test_a_job_that_was_born_failed_has_nothing_to_retry(books: Books) -> None:
    born = draft(to=None, text="", failure=Failure("invalid_recipient", "to: no handle"))
    job_id = books.accept(Event("evt_1"), born).jobs[0]
    assert books.run(books.ledger.retry(job_id, "api:ann")) == "empty"
    assert books.record(job_id).status is Status.FAILED


def test_a_retry_without_the_text_is_refused(books: Books) -> None:
    job_id = job_in(books, Status.FAILED)
    books.pass_time(TIMES.keep_bodies + SECOND)
    before = books.record(job_id)

    assert books.run(books.ledger.retry(job_id, "api:ann")) == "gone"
    assert books.record(job_id) == before


@pytest.mark.parametrize("end", sorted(FINAL))
def test_every_end_owes_one_callback_with_the_whole_story(books: Books, end: Status) -> None:
    job_id = job_in(books, end, metadata={"order": 7})

    [delivery] = books.owed(job_id)
    payload = delivery["payload"]
    assert delivery["type"] == payload["type"] == f"job.{end}"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(payload["timestamp"])).seconds < 60
    data = payload["data"]
    job = books.shown(job_id)
    for name in ("kind", "status", "attempts", "result", "error", "metadata", "source"):
        assert data[name] == job[name], name
    assert data["job_id"] == job_id


def test_a_job_without_a_callback_owes_none(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED, callback=None)

    assert books.owed(job_id) == []
    assert books.wakeups("callbacks") == []


def test_a_large_result_is_fetched_and_not_sent(books: Books) -> None:
    claim = books.sending(books.job())
    result = {"rows": ["x" * 100] * 300}
    step = books.claims.finish(claim, Status.SUCCEEDED, result=result)
    assert books.run(step)

    [delivery] = books.owed(claim.id)
    data = delivery["payload"]["data"]
    assert (data["result"], data["result_url"]) == (None, f"/jobs/{claim.id}/result")
    assert books.record(claim.id).result == result
    assert len(json.dumps(delivery["payload"])) < 20_000


def test_errors_with_any_character_stay_json(books: Books) -> None:
    message = 'quote " backslash \\ line \n half \ud83d null \x00 emoji \U0001f389'
    job_id = books.job(failure=Failure("odd", message.replace("\ud83d", "")))
    claim = books.sending(books.job(account="studio"))
    step = books.claims.finish(claim, Status.FAILED, failure=Failure("odd", message))
    assert books.run(step)

    for each in (job_id, claim.id):
        [delivery] = books.owed(each)
        assert delivery["payload"]["data"]["error"]["message"].startswith('quote " backslash \\')


def test_a_callback_is_stamped_with_the_stores_own_time(books: Books) -> None:
    clock: Any = books.store.time()
    [delivery] = books.owed(job_in(books, Status.CANCELED))

    stamped = datetime.fromisoformat(delivery["payload"]["timestamp"])
    assert 0 <= stamped.timestamp() - clock[0] < 60
    assert delivery["payload"]["timestamp"].endswith("Z")


def test_the_text_of_an_ended_job_goes_before_its_record(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED, text="private words")
    books.pass_time(TIMES.keep_bodies + SECOND)

    assert books.store.get(f"hg:jobtext:{job_id}") is None
    assert books.status(job_id) is Status.SUCCEEDED
    assert draft().text not in str(books.store.hgetall(f"hg:job:{job_id}"))
