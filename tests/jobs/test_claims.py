"""Claims: one at a time, fenced, and given back by a lapse when their holder is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.invariants import audit
from tests.support.ledgers import SECOND, TIMES, Books, opened_books


def test_a_claim_gives_the_text_and_moves_the_job(books: Books) -> None:
    job_id = books.job(text="Thank you, Zoë!")

    claim = books.claim(job_id)

    assert (claim.text, claim.job.to, claim.fence) == ("Thank you, Zoë!", "some.handle", 1)
    assert (claim.job.status, claim.verify_first) == (Status.RUNNING, False)
    record = books.record(job_id)
    assert (record.status, record.attempts) == (Status.RUNNING, 1)
    assert record.started_ms >= record.created_ms


def test_a_second_worker_gets_nothing(books: Books) -> None:
    job_id = books.job()
    books.claim(job_id, "one")

    assert books.try_claim(job_id, "two") is None
    assert books.status(job_id) is Status.RUNNING


def test_many_workers_at_once_make_one_claim(store_url: str, books: Books) -> None:
    job_id = books.job()

    async def claim_at_once() -> list[object]:
        return await asyncio.gather(
            *(books.claims.claim(job_id, f"worker-{number}") for number in range(20))
        )

    assert len([claim for claim in books.run(claim_at_once()) if claim is not None]) == 1


def test_a_claim_asked_for_twice_by_its_owner_is_given_twice(books: Books) -> None:
    job_id = books.job()
    first = books.claim(job_id)

    # The first reply may have been lost on its way.
    second = books.claim(job_id)
    assert replace(second, claimed_ms=first.claimed_ms) == first
    assert books.intend(first) == "ok"
    again = books.claim(job_id)
    assert (again.fence, again.verify_first) == (first.fence, True)


def test_a_pause_that_comes_after_the_claim_still_stops_the_write(books: Books) -> None:
    claim = books.claim(books.job())
    books.run(books.doors.pause("shop"))

    assert books.intend(claim) == "held"

    record = books.record(claim.id)
    assert (record.status, record.attempts, record.intent_ms) == (Status.HELD, 0, 0)
    books.run(books.doors.resume("shop"))
    assert books.intend(books.claim(claim.id)) == "ok"


def test_a_cooldown_that_comes_after_the_claim_still_stops_the_write(books: Books) -> None:
    claim = books.claim(books.job())
    books.store.hset("hg:acct:shop", mapping={"cool:dm": 2**50, "cool_why:dm": "feedback_required"})

    assert books.intend(claim) == "waiting"

    record = books.record(claim.id)
    assert (record.status, record.wait_reason) == (Status.WAITING, "feedback_required")


def test_a_claim_of_an_unknown_job_is_nothing(books: Books) -> None:
    assert books.try_claim("job_unknown") is None
    assert books.store.keys() == [b"hg:counters"]


def test_a_whole_job_is_claim_intent_and_finish(books: Books) -> None:
    job_id = books.job()
    claim = books.claim(job_id)
    assert books.intend(claim) == "ok"
    assert books.finish(claim)

    record = books.record(job_id)
    assert (record.status, record.result) == (Status.SUCCEEDED, {"message_id": "m1"})
    assert (record.pk, record.context) == ("314159", "token")
    assert books.path(job_id) == ["queued", "running", "sending", "succeeded"]
    assert audit(books) == []


def test_finish_is_recorded_once(books: Books) -> None:
    claim = books.sending(books.job())

    assert books.finish(claim)
    assert not books.finish(claim)
    assert not books.finish(claim, Status.FAILED)
    assert len(books.owed(claim.id)) == 1


def test_an_older_fence_is_refused_everywhere(books: Books) -> None:
    job_id = books.job()
    stale = books.claim(job_id, "one")
    books.pass_time(TIMES.lease)
    current = books.claim(job_id, "two")

    assert current.fence == stale.fence + 1
    assert books.intend(stale) == "lost"
    assert not books.finish(stale)
    assert books.release(stale, Status.QUEUED) == "lost"
    assert books.tick(stale)[0] == [job_id]
    assert books.intend(current) == "ok"


def test_an_intent_needs_a_live_lease_but_an_end_is_still_recorded(books: Books) -> None:
    claim = books.claim(books.job())
    books.pass_time(TIMES.lease)

    assert books.intend(claim) == "lost"
    assert books.finish(claim, Status.FAILED), "what happened is recorded while nobody else works"


def test_a_running_job_whose_worker_died_is_queued_and_goes_on(books: Books) -> None:
    job_id = books.job()
    books.claim(job_id)
    books.wakeups()

    books.pass_time(TIMES.lease)
    books.tick()

    assert (books.status(job_id), books.wakeups()) == (Status.QUEUED, [job_id])
    books.finish(books.sending(job_id, "another"))
    assert books.status(job_id) is Status.SUCCEEDED
    assert audit(books) == []


def test_a_running_job_that_was_to_be_canceled_does_not_go_on(books: Books) -> None:
    job_id = books.job()
    books.claim(job_id)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "asked"

    books.pass_time(TIMES.lease)
    books.tick()

    assert books.status(job_id) is Status.CANCELED
    assert [delivery["type"] for delivery in books.owed(job_id)] == ["job.canceled"]


def test_a_write_whose_worker_died_is_looked_up_and_not_sent_again(books: Books) -> None:
    job_id = books.job()
    books.sending(job_id, "one")
    books.wakeups()

    books.pass_time(TIMES.lease)
    books.tick()
    # The last sign of life is a whole lease ago: it has settled, and the next beat rings.
    books.tick()

    assert books.wakeups() == [job_id]
    look = books.claim(job_id, "two")
    assert (look.verify_first, look.job.status, look.job.pk) == (True, Status.SENDING, "314159")
    assert books.intend(look) == "lost", "a look-up never leads to a write by itself"
    assert books.path(job_id).count("sending") == 3


def test_a_look_up_waits_until_the_write_has_settled(store_url: str, books: Books) -> None:
    slow = TIMES.__class__(lease=2 * SECOND, settle=30 * SECOND, keep=TIMES.keep, keep_bodies=1000)
    with opened_books(store_url, slow) as hasty:
        job_id = hasty.job()
        claim = hasty.sending(job_id)
        for _ in range(5):  # a slow call: alive for ten seconds after its intent
            hasty.pass_time(SECOND)
            assert hasty.tick(claim)[0] == []

        hasty.pass_time(2 * SECOND)
        assert hasty.try_claim(job_id, "an echo") is None
        hasty.tick()
        hasty.pass_time(26 * SECOND)
        hasty.tick()
        assert hasty.try_claim(job_id, "too early") is None

        hasty.pass_time(2 * SECOND)
        hasty.tick()
        assert hasty.claim(job_id, "in time").verify_first


def test_a_look_up_that_found_nothing_is_made_twice(books: Books) -> None:
    job_id = books.job()
    claim = books.sending(job_id)
    assert books.release(claim, Status.SENDING, after_ms=5 * SECOND, charge="free") == "ok"
    assert books.try_claim(job_id, "early") is None

    books.pass_time(5 * SECOND)
    first = books.claim(job_id, "first look")
    assert first.job.not_found_count == 0
    assert books.release(first, Status.SENDING, after_ms=3 * SECOND) == "ok"
    books.pass_time(3 * SECOND)
    second = books.claim(job_id, "second look")
    assert second.job.not_found_count == 1
    assert books.release(second, Status.QUEUED) == "ok"

    again = books.claim(job_id, "sends again")
    assert (again.job.status, again.verify_first) == (Status.RUNNING, False)
    assert books.intend(again) == "ok"
    record = books.record(job_id)
    assert (record.not_found_count, record.verification_failures) == (0, 0)


def test_only_look_ups_that_could_not_be_made_use_them_up(books: Books) -> None:
    job_id = books.job()
    for charge, looks in (("free", 0), ("failed", 1), ("counts", 1), ("failed", 2)):
        claim = books.claim(job_id) if looks or charge != "free" else books.sending(job_id)
        books.release(claim, Status.SENDING, charge=charge)  # type: ignore[arg-type]
        assert books.record(job_id).verification_failures == looks
        books.tick()


def test_failures_of_the_moment_are_counted_apart_from_attempts(books: Books) -> None:
    job_id = books.job()
    books.release(books.claim(job_id), Status.QUEUED)
    books.release(books.claim(job_id), Status.WAITING, after_ms=SECOND)
    record = books.record(job_id)
    assert (record.attempts, record.failed_attempts) == (2, 1)


def test_a_job_on_which_workers_die_does_not_go_round_for_ever(books: Books) -> None:
    job_id = books.job(callback="crm")
    books.store.hset(f"hg:job:{job_id}", "attempts", 50)
    assert books.try_claim(job_id, "worker") is None
    record = books.record(job_id)
    assert (record.status, (record.error or {})["code"]) == (Status.FAILED, "attempts_exhausted")
    assert len(books.owed(job_id)) == 1


def test_an_attempt_that_was_not_the_jobs_doing_is_not_charged(books: Books) -> None:
    job_id = books.job()
    books.release(books.claim(job_id), Status.QUEUED, charge="free")
    assert books.record(job_id).attempts == 0
    books.release(books.claim(job_id), Status.QUEUED)
    assert books.record(job_id).attempts == 1


def test_a_lost_reply_of_an_intent_leads_to_a_look_up(books: Books) -> None:
    claim = books.claim(books.job())
    assert books.intend(claim) == "ok"

    assert books.intend(claim) == "lost"
    assert books.status(claim.id) is Status.SENDING


def test_two_processes_with_connections_of_their_own_see_one_claim(
    store_url: str, books: Books
) -> None:
    job_id = books.job()
    with opened_books(store_url) as other:
        books.claim(job_id, "one")
        assert other.try_claim(job_id, "two") is None
        assert other.status(job_id) is Status.RUNNING


def test_scripts_are_loaded_again_by_a_server_that_forgot_them(books: Books) -> None:
    books.job()
    books.store.function_flush()

    assert books.claim(books.job(account="studio")).fence == 1


def test_a_client_is_shared_by_many_calls_at_once(store_url: str, books: Books) -> None:
    jobs = [books.job(account=f"account-{number}") for number in range(50)]

    async def work_at_once() -> int:
        narrow = async_client(store_url, max_connections=2)
        try:
            claims = type(books.claims)(narrow, TIMES)
            made = await asyncio.gather(*(claims.claim(job_id, "worker") for job_id in jobs))
            return len([claim for claim in made if claim is not None])
        finally:
            await narrow.aclose()

    assert books.run(work_at_once()) == 50
