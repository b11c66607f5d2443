"""Account controls: people pause and resume accounts, and see what blocks them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import redis

from service.jobs.account_effect import AccountEffect
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.control_account import control_account
from service.jobs.model import Status
from tests.support.invariants import audit, diagnosis
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, LedgerHarness

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)


def _pause(ledger: LedgerHarness, account: str = "shop") -> None:
    ledger.run(ledger.controls.pause(account))


def _resume(ledger: LedgerHarness, account: str = "shop") -> int:
    return ledger.run(ledger.controls.resume(account))


def test_an_unused_account_is_active(ledger: LedgerHarness) -> None:
    assert ledger.run(ledger.controls.show("shop")) == {
        "name": "shop",
        "status": "active",
        "hold": None,
        "paused_everywhere": False,
        "paused_kinds": [],
        "cooldowns": [],
        "quiet_until": None,
        "budgets": {},
        "jobs": {"waiting": 0, "held": 0, "turn": None},
    }


def test_a_paused_account_holds_its_jobs_until_it_is_resumed(ledger: LedgerHarness) -> None:
    _pause(ledger)
    jobs = [ledger.add_job() for _ in range(3)]
    assert ledger.take_messages() == []

    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("paused", "paused")
    since = datetime.fromisoformat(shown["hold"]["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    assert shown["jobs"] == {"waiting": 0, "held": 3, "turn": None}

    assert _resume(ledger) == 3
    assert ledger.run_all() == jobs, "in the order they were added"
    assert ledger.run(ledger.controls.show("shop"))["status"] == "active"
    assert audit(ledger) == []


def test_a_pause_lets_a_running_write_finish_and_holds_the_next_job(
    ledger: LedgerHarness,
) -> None:
    writing, waiter = ledger.claim_and_send(ledger.add_job()), ledger.add_job()

    _pause(ledger)
    assert ledger.finish(writing)

    assert ledger.status(waiter) is Status.HELD
    assert audit(ledger) == []


def test_a_pause_does_not_affect_other_accounts(ledger: LedgerHarness) -> None:
    _pause(ledger)

    assert ledger.claim(ledger.add_job(account="studio"))


def test_resuming_ends_a_hold_caused_by_an_error(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.HELD, charge="free", effect=AccountEffect(hold="challenge"))
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("held", "challenge")

    assert _resume(ledger) == 1
    assert ledger.claim(claim.id)


def test_resuming_ends_cooldowns_and_wakes_the_jobs_that_waited_for_them(
    ledger: LedgerHarness,
) -> None:
    claim, other = ledger.claim(ledger.add_job()), ledger.add_job()
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    ledger.take_messages()
    shown = ledger.run(ledger.controls.show("shop"))
    assert shown["status"] == "cooling_down"
    [cooldown] = shown["cooldowns"]
    assert (cooldown["kind"], cooldown["reason"]) == ("dm", "slow_down")

    _resume(ledger)
    assert ledger.run(ledger.controls.show("shop"))["status"] == "active"
    assert ledger.run_all() == [claim.id, other]
    assert audit(ledger) == []


def test_an_expired_cooldown_is_not_shown(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    ledger.pass_time(HOUR)

    assert ledger.run(ledger.controls.show("shop"))["status"] == "active"


def test_resuming_releases_any_number_of_jobs(ledger: LedgerHarness) -> None:
    _pause(ledger)
    jobs = ledger.add_jobs(230)
    assert ledger.take_messages() == []

    assert _resume(ledger) == 230
    assert audit(ledger) == []
    assert ledger.run_all() == jobs


def test_a_resume_that_is_cut_off_loses_no_job(ledger: LedgerHarness) -> None:
    # Given a resume whose process dies after the first of its batches
    _pause(ledger)
    jobs = ledger.add_jobs(3)
    assert ledger.scripts.run(control_account("shop", "resume", "", 2, "crm", "")) == 2
    # Then the third job is where the next look at every account finds it
    assert diagnosis(ledger) == []
    assert ledger.run(ledger.controls.recheck_all()) == 1
    assert ledger.run_all() == jobs


def test_a_hold_set_while_resuming_stays(ledger: LedgerHarness, store_url: str) -> None:
    _pause(ledger)
    ledger.add_jobs(230)

    with redis.Redis.from_url(store_url) as other:
        calls = _hold_after_first_batch(ledger, other)

    assert calls == 2
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["jobs"]["held"]) == ("held", 205)
    assert audit(ledger) == []


def _hold_after_first_batch(ledger: LedgerHarness, other: redis.Redis) -> int:
    """Resume while an error puts the account on hold after the first batch; returns the batches."""
    scripts = ledger.controls._scripts  # to act between two of its round trips
    calls = 0

    async def between(call: ScriptCall[Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            other.hset("hg:acct:shop", mapping={"hold": "challenge", "hold_since": "1"})
        return await type(scripts).run(scripts, call)

    scripts.run = between  # type: ignore[method-assign]
    _resume(ledger)
    return calls


def test_pausing_and_resuming_are_idempotent(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.HELD)
    _pause(ledger)

    assert (_resume(ledger), _resume(ledger)) == (1, 0)
    assert ledger.claim(job_id)


def test_a_job_that_ended_while_held_is_not_released(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.HELD)
    ledger.run(ledger.core.cancel(job_id, "api:test"))

    assert _resume(ledger) == 0
    assert ledger.status(job_id) is Status.CANCELED


def test_resuming_starts_a_waiting_verification_at_once(ledger: LedgerHarness) -> None:
    # Given an unconfirmed write whose verification was stopped by a pause
    job_id = ledger.add_job()
    ledger.release(ledger.claim_and_send(job_id), Status.SENDING, charge="free")
    _pause(ledger)
    assert ledger.try_claim(job_id) is None
    # When the account is resumed
    ledger.run(ledger.controls.resume("shop"))
    ledger.heartbeat()
    # Then the write is verified at once
    assert ledger.claim(job_id).verify_first


def test_resuming_lets_the_account_log_in_again(ledger: LedgerHarness) -> None:
    ledger.store.hset("hg:logins:shop", "again", 1)
    ledger.run(ledger.controls.resume("shop"))
    assert not ledger.store.exists("hg:logins:shop")


def test_a_pause_does_not_hide_a_hold_caused_by_an_error(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    ledger.run(ledger.controls.pause("shop", "on holiday"))
    ledger.run(ledger.controls.pause("shop"))

    shown = ledger.run(ledger.controls.show("shop"))
    assert shown["status"] == "held"
    assert (shown["hold"]["reason"], shown["hold"]["note"]) == ("challenge_required", "on holiday")


def test_an_errors_hold_on_a_paused_account_is_shown_and_ends_with_the_pause_restored(
    ledger: LedgerHarness,
) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.run(ledger.controls.pause("shop", "lunch"))
    # When the running job meets a challenge
    ledger.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    # Then the challenge is shown until a code has answered it
    held = ledger.run(ledger.controls.show("shop"))["hold"]
    assert (held["reason"], held["note"]) == ("challenge_required", None)
    ledger.run(ledger.controls.clear_verification_hold("shop", {"challenge_required"}))
    paused = ledger.run(ledger.controls.show("shop"))["hold"]
    assert (paused["reason"], paused["note"]) == ("paused", "lunch")
