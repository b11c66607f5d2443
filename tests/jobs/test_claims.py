"""Claims: one at a time, fenced, and released when their lease expires."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.encryption import CIPHER
from tests.support.invariants import audit
from tests.support.ledger import RESULT, SECOND, TIMES, LedgerHarness, open_ledger


def test_a_claim_returns_the_text_and_changes_the_status(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(text="Thank you, Zoë!")

    claim = ledger.claim(job_id)

    assert (claim.text, claim.job.to, claim.fence) == ("Thank you, Zoë!", "some.handle", 1)
    assert (claim.job.status, claim.verify_first) == (Status.RUNNING, False)
    record = ledger.record(job_id)
    assert (record.status, record.attempts) == (Status.RUNNING, 1)
    assert record.started_ms >= record.created_ms


def test_a_second_worker_gets_no_claim(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id, "one")

    assert ledger.try_claim(job_id, "two") is None
    assert ledger.status(job_id) is Status.RUNNING


def test_only_one_of_many_workers_gets_the_claim(store_url: str, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()

    async def claim_at_once() -> list[object]:
        return await asyncio.gather(
            *(ledger.claims.claim(job_id, f"worker-{number}") for number in range(20))
        )

    assert len([claim for claim in ledger.run(claim_at_once()) if claim is not None]) == 1


def test_claiming_again_returns_the_owners_claim(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    first = ledger.claim(job_id)

    # The first reply may have been lost.
    second = ledger.claim(job_id)
    assert replace(second, claimed_ms=first.claimed_ms) == first
    assert ledger.record_intent(first) == "ok"
    again = ledger.claim(job_id)
    assert (again.fence, again.verify_first) == (first.fence, True)


def test_a_pause_after_the_claim_still_stops_the_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.run(ledger.controls.pause("shop"))

    assert ledger.record_intent(claim) == "held"

    record = ledger.record(claim.id)
    assert (record.status, record.attempts, record.intent_ms) == (Status.HELD, 0, 0)
    ledger.run(ledger.controls.resume("shop"))
    assert ledger.record_intent(ledger.claim(claim.id)) == "ok"


def test_a_cooldown_after_the_claim_still_stops_the_write(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.store.hset(
        "hg:acct:shop", mapping={"cool:dm": 2**50, "cool_why:dm": "feedback_required"}
    )

    assert ledger.record_intent(claim) == "waiting"

    record = ledger.record(claim.id)
    assert (record.status, record.wait_reason) == (Status.WAITING, "feedback_required")


def test_an_unknown_job_cannot_be_claimed(ledger: LedgerHarness) -> None:
    assert ledger.try_claim("job_unknown") is None
    assert ledger.store.keys() == [b"hg:counters"]


def test_a_job_takes_a_claim_an_intent_and_a_finish(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim) == "ok"
    assert ledger.finish(claim)

    record = ledger.record(job_id)
    assert (record.status, record.result) == (Status.SUCCEEDED, RESULT)
    assert (record.pk, record.context) == ("314159", "token")
    assert ledger.statuses(job_id) == ["queued", "running", "sending", "succeeded"]
    assert audit(ledger) == []


def test_a_finish_is_recorded_once(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())

    assert ledger.finish(claim)
    assert not ledger.finish(claim)
    assert not ledger.finish(claim, Status.FAILED)
    assert len(ledger.deliveries_of(claim.id)) == 1


def test_an_older_fence_is_rejected_by_every_operation(ledger: LedgerHarness) -> None:
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


def test_an_intent_needs_a_valid_lease_but_a_finish_does_not(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.pass_time(TIMES.lease)

    assert ledger.record_intent(claim) == "lost"
    assert ledger.finish(claim, Status.FAILED), (
        "the outcome is recorded unless another worker has claimed the job"
    )


def test_a_dead_workers_running_job_is_queued_and_runs_again(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id)
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert (ledger.status(job_id), ledger.take_messages()) == (Status.QUEUED, [job_id])
    ledger.finish(ledger.claim_and_send(job_id, "another"))
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert audit(ledger) == []


def test_a_dead_workers_job_with_a_cancel_request_is_canceled(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.status(job_id) is Status.CANCELED
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.canceled"]


def test_a_dead_workers_write_is_verified_and_not_sent_again(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.claim_and_send(job_id, "one")
    ledger.take_messages()

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    # The last renewal is a whole lease ago, so the write has settled: the next heartbeat wakes it.
    ledger.heartbeat()

    assert ledger.take_messages() == [job_id]
    verification = ledger.claim(job_id, "two")
    assert (verification.verify_first, verification.job.status, verification.job.pk) == (
        True,
        Status.SENDING,
        "314159",
    )
    assert ledger.record_intent(verification) == "lost", "a verification claim cannot write"
    assert ledger.statuses(job_id).count("sending") == 3


def test_a_verification_waits_until_the_write_has_settled(
    store_url: str, ledger: LedgerHarness
) -> None:
    script_config = replace(TIMES, lease=2 * SECOND, settle=30 * SECOND, keep_bodies=1000)
    with open_ledger(store_url, script_config) as other:
        job_id = other.add_job()
        claim = other.claim_and_send(job_id)
        for _ in range(5):  # a slow call, renewed for five seconds after its intent
            other.pass_time(SECOND)
            assert other.heartbeat(claim)[0] == []

        other.pass_time(2 * SECOND)
        assert other.try_claim(job_id, "a repeated wake-up") is None
        other.heartbeat()
        other.pass_time(26 * SECOND)
        other.heartbeat()
        assert other.try_claim(job_id, "too early") is None

        other.pass_time(2 * SECOND)
        other.heartbeat()
        assert other.claim(job_id, "in time").verify_first


def test_a_verification_that_finds_nothing_is_repeated_once(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    claim = ledger.claim_and_send(job_id)
    assert ledger.release(claim, Status.SENDING, after_ms=5 * SECOND, charge="free") == "ok"
    assert ledger.try_claim(job_id, "early") is None

    ledger.pass_time(5 * SECOND)
    first = ledger.claim(job_id, "first verification")
    assert first.job.not_found_count == 0
    assert ledger.release(first, Status.SENDING, after_ms=3 * SECOND) == "ok"
    ledger.pass_time(3 * SECOND)
    second = ledger.claim(job_id, "second verification")
    assert second.job.not_found_count == 1
    assert ledger.release(second, Status.QUEUED) == "ok"

    again = ledger.claim(job_id, "sends again")
    assert (again.job.status, again.verify_first) == (Status.RUNNING, False)
    assert ledger.record_intent(again) == "ok"
    record = ledger.record(job_id)
    assert (record.not_found_count, record.verification_failures) == (0, 0)


def test_only_failed_verifications_count_as_verification_failures(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    for charge, failures in (("free", 0), ("failed", 1), ("counts", 1), ("failed", 2)):
        claim = (
            ledger.claim(job_id) if failures or charge != "free" else ledger.claim_and_send(job_id)
        )
        ledger.release(claim, Status.SENDING, charge=charge)  # type: ignore[arg-type]
        assert ledger.record(job_id).verification_failures == failures
        ledger.heartbeat()


def test_transient_failures_are_counted_separately_from_attempts(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.QUEUED)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND)
    record = ledger.record(job_id)
    assert (record.attempts, record.failed_attempts) == (2, 1)


def test_a_job_that_kills_its_workers_ends(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(callback="crm")
    ledger.store.hset(f"hg:job:{job_id}", "attempts", 50)
    assert ledger.try_claim(job_id, "worker") is None
    record = ledger.record(job_id)
    assert (record.status, (record.error or {})["code"]) == (Status.FAILED, "attempts_exhausted")
    assert len(ledger.deliveries_of(job_id)) == 1


def test_a_release_that_is_not_the_jobs_fault_counts_no_attempt(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.QUEUED, charge="free")
    assert ledger.record(job_id).attempts == 0
    ledger.release(ledger.claim(job_id), Status.QUEUED)
    assert ledger.record(job_id).attempts == 1


def test_a_lost_intent_reply_leads_to_a_verification(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    assert ledger.record_intent(claim) == "ok"

    assert ledger.record_intent(claim) == "lost"
    assert ledger.status(claim.id) is Status.SENDING


def test_two_processes_share_one_claim(store_url: str, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    with open_ledger(store_url) as other:
        ledger.claim(job_id, "one")
        assert other.try_claim(job_id, "two") is None
        assert other.status(job_id) is Status.RUNNING


def test_scripts_are_loaded_again_after_the_server_dropped_them(ledger: LedgerHarness) -> None:
    ledger.add_job()
    ledger.store.function_flush()

    assert ledger.claim(ledger.add_job(account="studio")).fence == 1


def test_many_concurrent_calls_share_a_client(store_url: str, ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job(account=f"account-{number}") for number in range(50)]

    async def work_at_once() -> int:
        small_client = async_client(store_url, max_connections=2)
        try:
            claims = type(ledger.claims)(small_client, TIMES, CIPHER)
            results = await asyncio.gather(*(claims.claim(job_id, "worker") for job_id in jobs))
            return len([claim for claim in results if claim is not None])
        finally:
            await small_client.aclose()

    assert ledger.run(work_at_once()) == 50
