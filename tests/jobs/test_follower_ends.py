"""How follower exports end, are canceled, paused and cooled down."""

from __future__ import annotations

import pytest

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Failure, Status
from tests.support.follower_rows import (
    PAGE,
    PK,
    add_export,
    append_page,
    claim_and_append,
    new_rows,
    row,
    rows,
    started_export,
    stored_rows,
)
from tests.support.invariants import audit, illegal_steps
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

# -- ends


def test_fifty_deaths_at_one_page_fail_the_export_and_keep_its_rows(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    for number in range(50):
        assert ledger.try_claim(job_id, f"dying-{number}") is not None
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.try_claim(job_id) is None
    shown = ledger.api_job(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "attempts_exhausted")
    assert stored_rows(ledger, job_id) == rows(0, 200)


def test_a_stored_page_resets_the_failure_counters(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for number in range(45):
        ledger.claim(job_id, f"dying-{number}")
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND) == "ok"
    ledger.pass_time(2 * SECOND)
    ledger.heartbeat()
    assert (ledger.record(job_id).attempts, ledger.record(job_id).failed_attempts) == (46, 1)

    assert claim_and_append(ledger, job_id, rows(0, 200), "1") == "more"

    assert (ledger.record(job_id).attempts, ledger.record(job_id).failed_attempts) == (0, 0)


def test_an_export_expires_after_its_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, expires_ms=HOUR)
    claim = ledger.claim(job_id)
    ledger.store.hset(f"hg:job:{job_id}", "expires", 1)
    assert append_page(ledger, claim, rows(0, 200), "1") == "expired"
    assert stored_rows(ledger, job_id) == rows(0, 200)


def test_a_failed_exports_rows_stay_and_a_retry_continues_after_them(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 2)
    claim = ledger.claim(job_id)
    failure = Failure("private_account", "The account is private.")
    assert ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=failure)) == "ok"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert ledger.api_job(job_id)["progress"]["eta"] is None

    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"

    claim = ledger.claim(job_id)
    assert (claim.job.pk, claim.job.cursor, claim.job.users, claim.job.run) == (PK, "2", 400, 2)
    assert new_rows(ledger, job_id, rows(350, 450)) == rows(400, 450)
    assert append_page(ledger, claim, rows(400, 450)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 450)
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)][-1] == "job.succeeded"
    assert audit(ledger) == []


def test_an_export_that_failed_before_its_first_page_starts_over(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert claim_and_append(ledger, job_id, (), "0") == "more"


# -- cancel


def test_a_waiting_export_is_canceled_at_once(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    job_id = add_export(ledger)
    assert ledger.status(job_id) is Status.WAITING
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    assert ledger.status(job_id) is Status.CANCELED
    assert ledger.finish(holder)
    assert (ledger.turn(), audit(ledger)) == (None, [])


def test_a_running_export_is_canceled_after_its_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 400), "2") == "canceled"
    assert ledger.status(job_id) is Status.CANCELED
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert (ledger.turn(), ledger.try_claim(job_id)) == (None, None)
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.canceled"]


def test_a_cancel_request_during_the_last_page_comes_too_late(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 300)) == "succeeded"


def test_a_cancel_request_takes_effect_when_the_worker_dies(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.CANCELED


# -- pauses and cooldowns


def test_an_export_of_a_paused_account_is_held_after_its_page_and_resumes(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    ledger.run(ledger.controls.pause("shop"))
    assert append_page(ledger, claim, rows(200, 400), "2") == "more"
    assert ledger.status(job_id) is Status.HELD
    assert ledger.api_job(job_id)["progress"]["eta"] is None
    assert audit(ledger) == []

    ledger.run(ledger.controls.resume("shop"))

    assert claim_and_append(ledger, job_id, rows(400, 500)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 500)


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_pausing_lookups_holds_exports(ledger: LedgerHarness, kind: str) -> None:
    ledger.run(ledger.controls.pause("shop", kind="lookup"))
    job_id = add_export(ledger, kind=kind)
    assert ledger.status(job_id) is Status.HELD
    assert audit(ledger) == []


def test_an_export_continues_after_its_last_page_when_a_cooldown_ends(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    cooldown = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR, escalation="double")
    claim = ledger.claim(job_id)
    assert ledger.release(claim, Status.WAITING, charge="free", effect=cooldown) == "ok"
    wait = ledger.api_job(job_id)["wait"]
    assert (ledger.status(job_id), wait["reason"]) == (Status.WAITING, "please_wait")
    assert audit(ledger) == []

    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()

    claim = ledger.claim(job_id)
    assert (claim.job.cursor, claim.job.users) == ("1", 200)
    assert append_page(ledger, claim, rows(200, 250)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 250)


def test_the_timeline_shows_cooldowns_and_deaths_but_not_every_page(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 100, expected=40_001)
    assert ledger.statuses(job_id) == ["queued", "running"]
    cooldown = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    ledger.release(ledger.claim(job_id), Status.WAITING, charge="free", effect=cooldown)
    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()
    for number in range(100, 200):
        claim_and_append(ledger, job_id, rows(number * PAGE, (number + 1) * PAGE), f"{number}")
    resumed = ["queued", "running"]
    assert ledger.statuses(job_id) == [*resumed, "waiting", *resumed]
    assert claim_and_append(ledger, job_id, [row(10**6)]) == "succeeded"
    assert ledger.statuses(job_id)[-1] == "succeeded"
    assert illegal_steps(ledger, job_id) == []
