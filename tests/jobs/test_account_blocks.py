"""Blocked accounts: cooldowns and holds stop the account queue, and lose nothing."""

from __future__ import annotations

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

COOL_DM = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR)
COOL_ALL = AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=HOUR)
HOLD = AccountEffect(hold="challenge")


def test_a_cooldown_of_one_kind_does_not_block_the_other(ledger: LedgerHarness) -> None:
    message, other, comment = (
        ledger.add_job(),
        ledger.add_job(),
        ledger.add_job(kind="comment", post="Cx"),
    )
    claim = ledger.claim(message)
    ledger.take_messages()

    ledger.release(claim, Status.WAITING, after_ms=HOUR, charge="free", effect=COOL_DM)
    assert ledger.run_all() == [comment]

    for position, job_id in enumerate((message, other)):
        wait = ledger.api_job(job_id)["wait"]
        assert (wait["reason"], wait["position"]) == ("slow_down", position)
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.run_all() == [message, other]
    assert audit(ledger) == []


def test_when_a_cooldown_ends_one_job_runs_and_the_others_queue(ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job(priority=number) for number in (0, 5, 9, 5)]
    claim = ledger.claim(jobs[0])
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)
    assert ledger.run_all() == []

    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert ledger.take_messages() == [jobs[2]]
    ledger.finish(ledger.claim(jobs[2]))
    assert ledger.run_all() == [jobs[1], jobs[3], jobs[0]]
    assert audit(ledger) == []


def test_a_cooldown_of_the_account_stops_every_kind(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    comment = ledger.add_job(kind="comment", post="Cx")
    ledger.release(claim, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    assert (ledger.turn(), ledger.take_messages()[1:]) == (None, [])
    for job_id in (claim.id, comment):
        assert ledger.api_job(job_id)["wait"]["reason"] == "slow_down"


def test_a_shorter_cooldown_does_not_shorten_a_longer_one(ledger: LedgerHarness) -> None:
    late = ledger.claim(ledger.add_job(), "late")
    ledger.pass_time(TIMES.lease)
    current = ledger.claim(ledger.add_job(), "current")
    ledger.release(current, Status.WAITING, after_ms=HOUR, effect=COOL_ALL)

    brief = AccountEffect(cooldown="brief", kind="*", cooldown_ms=SECOND)
    assert ledger.release(late, Status.WAITING, after_ms=SECOND, effect=brief) == "ok"

    [cooldown] = ledger.run(ledger.controls.show("shop"))["cooldowns"]
    assert cooldown["reason"] == "slow_down"


def test_a_hold_stops_the_whole_queue_and_loses_nothing(ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job() for _ in range(4)]
    claim = ledger.claim(jobs[0])

    ledger.release(claim, Status.HELD, charge="free", effect=HOLD)
    assert ledger.run_all() == []
    later = ledger.add_job()
    assert ledger.run_all() == []

    assert {ledger.status(job_id) for job_id in [*jobs, later]} == {Status.HELD}
    assert audit(ledger) == []
    assert ledger.run(ledger.controls.resume("shop")) == 5
    assert ledger.run_all() == [*jobs, later]


def test_a_verification_waits_while_the_account_is_blocked(ledger: LedgerHarness) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    ledger.release(unconfirmed, Status.SENDING, after_ms=SECOND, charge="free", effect=HOLD)
    ledger.pass_time(SECOND)

    for _ in range(3):
        ledger.heartbeat()
        assert ledger.try_claim(unconfirmed.id) is None
        assert ledger.status(unconfirmed.id) is Status.SENDING
        assert (ledger.turn(), audit(ledger)) == (None, [])
        ledger.pass_time(60 * SECOND)

    ledger.run(ledger.controls.resume("shop"))
    assert ledger.claim(unconfirmed.id).verify_first


def test_a_blocked_verification_does_not_block_the_queue(
    ledger: LedgerHarness,
) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    ledger.release(unconfirmed, Status.SENDING, charge="free")
    comment = ledger.claim(ledger.add_job(kind="comment", post="Cx"))
    assert ledger.try_claim(unconfirmed.id) is None, "it waits in the queue"
    until = str(comment.job.created_ms + HOUR)
    ledger.store.hset("hg:acct:shop", mapping={"cool:*": until, "cool_why:*": "slow_down"})

    assert ledger.try_claim(unconfirmed.id) is None
    ledger.finish(comment)

    assert ledger.turn() is None, "it gets no turn that it cannot use"
    assert audit(ledger) == []
