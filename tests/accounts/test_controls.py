"""Doors: people pause and resume accounts, and see what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from service.jobs.claims import AccountEffect
from service.jobs.lua.call import ScriptCall
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, LedgerHarness, open_ledger

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger


def _pause(ledger: LedgerHarness, account: str = "shop") -> None:
    ledger.run(ledger.controls.pause(account))


def _resume(ledger: LedgerHarness, account: str = "shop") -> int:
    return ledger.run(ledger.controls.resume(account))


def test_an_account_nobody_used_is_active(ledger: LedgerHarness) -> None:
    assert ledger.run(ledger.controls.show("shop")) == {
        "name": "shop",
        "status": "active",
        "hold": None,
        "paused_everywhere": False,
        "paused_kinds": [],
        "cooldowns": [],
        "quiet_until": None,
        "budgets": {},
        "jobs": {"in_line": 0, "held": 0, "turn": None},
    }


def test_a_paused_account_keeps_its_jobs_until_it_is_resumed(ledger: LedgerHarness) -> None:
    _pause(ledger)
    jobs = [ledger.add_job() for _ in range(3)]
    assert ledger.take_messages() == []

    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("paused", "paused")
    since = datetime.fromisoformat(shown["hold"]["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    assert shown["jobs"] == {"in_line": 0, "held": 3, "turn": None}

    assert _resume(ledger) == 3
    assert ledger.run_all() == jobs, "in the order they came"
    assert ledger.run(ledger.controls.show("shop"))["status"] == "active"
    assert audit(ledger) == []


def test_a_pause_lets_a_write_that_began_go_on_and_stops_what_is_next(
    ledger: LedgerHarness,
) -> None:
    writing, waiter = ledger.claim_and_send(ledger.add_job()), ledger.add_job()

    _pause(ledger)
    assert ledger.finish(writing)

    assert ledger.status(waiter) is Status.HELD
    assert audit(ledger) == []


def test_a_pause_leaves_other_accounts_alone(ledger: LedgerHarness) -> None:
    _pause(ledger)

    assert ledger.claim(ledger.add_job(account="studio"))


def test_a_resume_ends_a_hold_that_an_error_brought(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.HELD, charge="free", effect=AccountEffect(hold="challenge"))
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["hold"]["reason"]) == ("held", "challenge")

    assert _resume(ledger) == 1
    assert ledger.claim(claim.id)


def test_a_resume_ends_cooldowns_and_wakes_what_waited_for_them(ledger: LedgerHarness) -> None:
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


def test_a_cooldown_that_is_over_is_not_shown(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_DM)
    ledger.pass_time(HOUR)

    assert ledger.run(ledger.controls.show("shop"))["status"] == "active"


def test_a_resume_lets_any_number_go(ledger: LedgerHarness) -> None:
    _pause(ledger)
    jobs = ledger.add_jobs(230)
    assert ledger.take_messages() == []

    assert _resume(ledger) == 230
    assert audit(ledger) == []
    assert ledger.run_all() == jobs


def test_a_hold_that_comes_during_a_resume_stays(ledger: LedgerHarness, store_url: str) -> None:
    _pause(ledger)
    ledger.add_jobs(230)

    with redis.Redis.from_url(store_url) as other:
        calls = _hold_after_first_batch(ledger, other)

    assert calls == 2
    shown = ledger.run(ledger.controls.show("shop"))
    assert (shown["status"], shown["jobs"]["held"]) == ("held", 205)
    assert audit(ledger) == []


def _hold_after_first_batch(ledger: LedgerHarness, other: redis.Redis) -> int:
    """Resume, while an error puts the account on hold after the first batch; the batches."""
    scripts = ledger.controls._scripts  # stands between two of its round trips
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


def test_pausing_twice_and_resuming_twice_do_no_harm(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.HELD)
    _pause(ledger)

    assert (_resume(ledger), _resume(ledger)) == (1, 0)
    assert ledger.claim(job_id)


def test_a_job_that_ended_while_held_is_not_let_go(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.HELD)
    ledger.run(ledger.core.cancel(job_id, "api:test"))

    assert _resume(ledger) == 0
    assert ledger.status(job_id) is Status.CANCELED


def test_a_look_up_that_waited_for_the_account_comes_with_the_resume(ledger: LedgerHarness) -> None:
    # Given a write in doubt whose look-up found the account paused
    job_id = ledger.add_job()
    ledger.release(ledger.claim_and_send(job_id), Status.SENDING, charge="free")
    _pause(ledger)
    assert ledger.try_claim(job_id) is None
    # When somebody resumes it
    ledger.run(ledger.controls.resume("shop"))
    ledger.heartbeat()
    # Then it is looked up at once
    assert ledger.claim(job_id).verify_first


def test_a_resume_allows_the_account_to_log_in_anew(ledger: LedgerHarness) -> None:
    ledger.store.hset("hg:logins:shop", "again", 1)
    ledger.run(ledger.controls.resume("shop"))
    assert not ledger.store.exists("hg:logins:shop")


def test_a_pause_does_not_hide_what_an_error_has_held(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    ledger.run(ledger.controls.pause("shop", "on holiday"))
    ledger.run(ledger.controls.pause("shop"))

    shown = ledger.run(ledger.controls.show("shop"))
    assert shown["status"] == "held"
    assert (shown["hold"]["reason"], shown["hold"]["note"]) == ("challenge_required", "on holiday")


def test_an_errors_hold_on_a_paused_account_is_shown_and_gives_the_pause_back(
    ledger: LedgerHarness,
) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.run(ledger.controls.pause("shop", "lunch"))
    # When the job under way meets a challenge
    ledger.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    # Then that is what is shown, until a code has answered it
    held = ledger.run(ledger.controls.show("shop"))["hold"]
    assert (held["reason"], held["note"]) == ("challenge_required", None)
    ledger.run(ledger.controls.clear_verification_hold("shop", {"challenge_required"}))
    paused = ledger.run(ledger.controls.show("shop"))["hold"]
    assert (paused["reason"], paused["note"]) == ("paused", "lunch")
