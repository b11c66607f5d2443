"""Claims: one at a time, fenced, and given back by a lapse when their holder is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.invariants import audit
from tests.support.ledger import SECOND, TIMES, LedgerHarness, open_ledger


def test_a_claim_gives_the_text_and_moves_the_job(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(text="Thank you, Zoë!")

    claim = ledger.claim(job_id)

    assert (claim.text, claim.job.to, claim.fence) == ("Thank you, Zoë!", "some.handle", 1)
    assert (claim.job.status, claim.verify_first) == (Status.RUNNING, False)
    record = ledger.record(job_id)
    assert (record.status, record.attempts) == (Status.RUNNING, 1)
    assert record.started_ms >= record.created_ms


def test_a_second_worker_gets_nothing(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id, "one")

    assert ledger.try_claim(job_id, "two") is None
    assert ledger.status(job_id) is Status.RUNNING


def test_many_workers_at_once_make_one_claim(store_url: str, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()

    async def claim_at_once() -> list[object]:
        return await asyncio.gather(
            *(ledger.claims.claim(job_id, f"worker-{number}") for number in range(20))
        )

    assert len([claim for claim in ledger.run(claim_at_once()) if claim is not None]) == 1


def test_a_claim_asked_for_twice_by_its_owner_is_given_twice(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    first = ledger.claim(job_id)

    # The first reply may have been lost on its way.
    second = ledger.claim(job_id)
    assert replace(second, claimed_ms=first.claimed_ms) == first
    assert ledger.record_intent(first) == "ok"
    again = ledger.claim(job_id)
    assert (again.fence, again.verify_first) == (first.fence, True)


def test_a_pause_that_comes_after_the_claim_still_stops_the_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.run(ledger.controls.pause("shop"))

    assert ledger.record_intent(claim) == "held"

    record = ledger.record(claim.id)
    assert (record.status, record.attempts, record.intent_ms) == (Status.HELD, 0, 0)
    ledger.run(ledger.controls.resume("shop"))
    assert ledger.record_intent(ledger.claim(claim.id)) == "ok"


def test_a_cooldown_that_comes_after_the_claim_still_stops_the_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.store.hset(
        "hg:acct:shop", mapping={"cool:dm": 2**50, "cool_why:dm": "feedback_required"}
    )

    assert ledger.record_intent(claim) == "waiting"

    record = ledger.record(claim.id)
    assert (record.status, record.wait_reason) == (Status.WAITING, "feedback_required")


def test_a_claim_of_an_unknown_job_is_nothing(ledger: LedgerHarness) -> None:
    assert ledger.try_claim("job_unknown") is None
    assert ledger.store.keys() == [b"hg:counters"]


def test_a_whole_job_is_claim_intent_and_finish(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim) == "ok"
    assert ledger.finish(claim)

    record = ledger.record(job_id)
    assert (record.status, record.result) == (Status.SUCCEEDED, {"message_id": "m1"})
    assert (record.pk, record.context) == ("314159", "token")
    assert ledger.statuses(job_id) == ["queued", "running", "sending", "succeeded"]
    assert audit(ledger) == []


def test_finish_is_recorded_once(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())

    assert ledger.finish(claim)
    assert not ledger.finish(claim)
    assert not ledger.finish(claim, Status.FAILED)
    assert len(ledger.deliveries_of(claim.id)) == 1


def test_an_older_fence_is_refused_everywhere(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    stale = ledger.claim(job_id, "one")
    ledger.pass_time(TIMES.lease)
    current = ledger.claim(job_id, "two")

    assert current.fence == stale.fence + 1
    assert ledger.record_intent(stale) == "lost"
    assert not ledger.finish(stale)
    assert ledger.release(stale, Status.QUEUED) == "lost"
    assert ledger.heartbeat(stale)[0] == [job_id]
    assert ledger.record_intent(current) == "ok"


def test_an_intent_needs_a_live_lease_but_an_end_is_still_recorded(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.pass_time(TIMES.lease)

    assert ledger.record_intent(claim) == "lost"
    assert ledger.finish(claim, Status.FAILED), "what happened is recorded while nobody else works"


def test_a_running_job_whose_worker_died_is_queued_and_goes_on(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id)
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert (ledger.status(job_id), ledger.take_messages()) == (Status.QUEUED, [job_id])
    ledger.finish(ledger.claim_and_send(job_id, "another"))
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert audit(ledger) == []


def test_a_running_job_that_was_to_be_canceled_does_not_go_on(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.status(job_id) is Status.CANCELED
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.canceled"]


def test_a_write_whose_worker_died_is_looked_up_and_not_sent_again(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim_and_send(job_id, "one")
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    # The last sign of life is a whole lease ago: it has settled, and the next beat rings.
    ledger.heartbeat()

    assert ledger.take_messages() == [job_id]
    look = ledger.claim(job_id, "two")
    assert (look.verify_first, look.job.status, look.job.pk) == (True, Status.SENDING, "314159")
    assert ledger.record_intent(look) == "lost", "a look-up never leads to a write by itself"
    assert ledger.statuses(job_id).count("sending") == 3


def test_a_look_up_waits_until_the_write_has_settled(store_url: str, ledger: LedgerHarness) -> None:
    slow = TIMES.__class__(lease=2 * SECOND, settle=30 * SECOND, keep=TIMES.keep, keep_bodies=1000)
    with open_ledger(store_url, slow) as hasty:
        job_id = hasty.add_job()
        claim = hasty.claim_and_send(job_id)
        for _ in range(5):  # a slow call: alive for ten seconds after its intent
            hasty.pass_time(SECOND)
            assert hasty.heartbeat(claim)[0] == []

        hasty.pass_time(2 * SECOND)
        assert hasty.try_claim(job_id, "an echo") is None
        hasty.heartbeat()
        hasty.pass_time(26 * SECOND)
        hasty.heartbeat()
        assert hasty.try_claim(job_id, "too early") is None

        hasty.pass_time(2 * SECOND)
        hasty.heartbeat()
        assert hasty.claim(job_id, "in time").verify_first


def test_a_look_up_that_found_nothing_is_made_twice(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    claim = ledger.claim_and_send(job_id)
    assert ledger.release(claim, Status.SENDING, after_ms=5 * SECOND, charge="free") == "ok"
    assert ledger.try_claim(job_id, "early") is None

    ledger.pass_time(5 * SECOND)
    first = ledger.claim(job_id, "first look")
    assert first.job.not_found_count == 0
    assert ledger.release(first, Status.SENDING, after_ms=3 * SECOND) == "ok"
    ledger.pass_time(3 * SECOND)
    second = ledger.claim(job_id, "second look")
    assert second.job.not_found_count == 1
    assert ledger.release(second, Status.QUEUED) == "ok"

    again = ledger.claim(job_id, "sends again")
    assert (again.job.status, again.verify_first) == (Status.RUNNING, False)
    assert ledger.record_intent(again) == "ok"
    record = ledger.record(job_id)
    assert (record.not_found_count, record.verification_failures) == (0, 0)


def test_only_look_ups_that_could_not_be_made_use_them_up(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    for charge, looks in (("free", 0), ("failed", 1), ("counts", 1), ("failed", 2)):
        claim = ledger.claim(job_id) if looks or charge != "free" else ledger.claim_and_send(job_id)
        ledger.release(claim, Status.SENDING, charge=charge)  # type: ignore[arg-type]
        assert ledger.record(job_id).verification_failures == looks
        ledger.heartbeat()


def test_failures_of_the_moment_are_counted_apart_from_attempts(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.QUEUED)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND)
    record = ledger.record(job_id)
    assert (record.attempts, record.failed_attempts) == (2, 1)


def test_a_job_on_which_workers_die_does_not_go_round_for_ever(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(callback="crm")
    ledger.store.hset(f"hg:job:{job_id}", "attempts", 50)
    assert ledger.try_claim(job_id, "worker") is None
    record = ledger.record(job_id)
    assert (record.status, (record.error or {})["code"]) == (Status.FAILED, "attempts_exhausted")
    assert len(ledger.deliveries_of(job_id)) == 1


def test_an_attempt_that_was_not_the_jobs_doing_is_not_charged(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.QUEUED, charge="free")
    assert ledger.record(job_id).attempts == 0
    ledger.release(ledger.claim(job_id), Status.QUEUED)
    assert ledger.record(job_id).attempts == 1


def test_a_lost_reply_of_an_intent_leads_to_a_look_up(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    assert ledger.record_intent(claim) == "ok"

    assert ledger.record_intent(claim) == "lost"
    assert ledger.status(claim.id) is Status.SENDING


def test_two_processes_with_connections_of_their_own_see_one_claim(
    store_url: str, ledger: LedgerHarness
) -> None:
    job_id = ledger.add_job()
    with open_ledger(store_url) as other:
        ledger.claim(job_id, "one")
        assert other.try_claim(job_id, "two") is None
        assert other.status(job_id) is Status.RUNNING


def test_scripts_are_loaded_again_by_a_server_that_forgot_them(ledger: LedgerHarness) -> None:
    ledger.add_job()
    ledger.store.function_flush()

    assert ledger.claim(ledger.add_job(account="studio")).fence == 1


def test_a_client_is_shared_by_many_calls_at_once(store_url: str, ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job(account=f"account-{number}") for number in range(50)]

    async def work_at_once() -> int:
        narrow = async_client(store_url, max_connections=2)
        try:
            claims = type(ledger.claims)(narrow, TIMES)
            made = await asyncio.gather(*(claims.claim(job_id, "worker") for job_id in jobs))
            return len([claim for claim in made if claim is not None])
        finally:
            await narrow.aclose()

    assert ledger.run(work_at_once()) == 50
