"""Lost history: whatever may have been written in a time that the store has lost is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import redis

from service.jobs.claims import Claim
from service.jobs.model import Status
from tests.support.backup import Backup
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import (
    DAY,
    HOUR,
    SECOND,
    TIMES,
    Event,
    LedgerHarness,
    draft,
    open_ledger,
)

LOOKED_FIRST: Final = "history lost: looked for first"
SETTLED: Final = TIMES.lease + TIMES.settle


def lose(ledger: LedgerHarness, backup: Backup) -> None:
    """Lose what came after a backup, and let everything settle."""
    backup.restore()
    ledger.heartbeat()
    ledger.pass_time(SETTLED)
    ledger.heartbeat()


def write(ledger: LedgerHarness, job_id: str) -> None:
    """Write a job's DM, whatever the job waited for."""
    ledger.run(ledger.controls.resume("shop"))
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    ledger.finish(ledger.claim_and_send(job_id))


def look_first(ledger: LedgerHarness, job_id: str) -> Claim:
    """Claim a job, which must be looked for first."""
    claim = ledger.claim(job_id)
    assert (claim.verify_first, claim.look_first) == (True, True)
    return claim


def not_found(ledger: LedgerHarness, claim: Claim) -> None:
    """Record that a job was looked for and not found."""
    assert ledger.release(claim, Status.QUEUED, charge="looked") == "ok"


def reasons(ledger: LedgerHarness, job_id: str) -> list[str]:
    """Why each change of a job happened."""
    return [entry["why"] for entry in ledger.run(ledger.queries.timeline(job_id))]


def epoch(ledger: LedgerHarness) -> int:
    """How many losses were noticed."""
    found: Any = ledger.store.hget("hg:history", "epoch")
    return int(found or 0)


@contextmanager
def another_process(url: str) -> Iterator[LedgerHarness]:
    """A second process over the same store, which has beaten once."""
    with open_ledger(url) as other:
        other.heartbeat()
        yield other


def _second_in_line(ledger: LedgerHarness) -> str:
    ledger.claim(ledger.add_job())
    ledger.add_job()
    return ledger.add_job()


def _job_in(status: Status) -> Callable[[LedgerHarness], str]:
    return lambda ledger: job_in(ledger, status)


STATES: Final = {
    "scheduled": _job_in(Status.SCHEDULED),
    "waiting for its next attempt": _job_in(Status.WAITING),
    "held": _job_in(Status.HELD),
    "queued": _job_in(Status.QUEUED),
    "running": _job_in(Status.RUNNING),
    "behind others in line": _second_in_line,
}


@pytest.mark.parametrize("job_of", STATES.values(), ids=STATES)
def test_a_job_without_an_intent_is_looked_for_once_before_its_write(
    ledger: LedgerHarness, job_of: Callable[[LedgerHarness], str]
) -> None:
    # Given a job that was somewhere when history ended
    job_id = job_of(ledger)
    ledger.heartbeat()
    backup = Backup(ledger.store)
    # When its write is made in the time that is lost
    others = [each for each in _job_ids(ledger) if each != job_id]
    for other in others:
        ledger.run(ledger.core.cancel(other, "api:test"))
    ledger.pass_time(TIMES.lease)
    write(ledger, job_id)
    lose(ledger, backup)
    for other in others:
        ledger.run(ledger.core.cancel(other, "api:test"))
    ledger.run(ledger.controls.resume("shop"))
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    # Then it is looked for before anything is sent, and then no more
    not_found(ledger, look_first(ledger, job_id))
    assert LOOKED_FIRST in reasons(ledger, job_id)
    assert ledger.finish(ledger.claim_and_send(job_id))
    assert reasons(ledger, job_id).count(LOOKED_FIRST) == 1
    assert ledger.record(job_id).resends == 0
    assert audit(ledger) == []


def _job_ids(ledger: LedgerHarness) -> list[str]:
    found: Any = ledger.store.zrange("hg:jobs", 0, -1)
    return [job_id.decode() for job_id in found]


def test_an_event_that_is_sent_again_is_looked_for(ledger: LedgerHarness) -> None:
    # Given an event that was accepted and served in the time that is lost
    ledger.heartbeat()
    backup = Backup(ledger.store)
    job_id = ledger.accept(Event("evt_1"), draft()).jobs[0]
    ledger.finish(ledger.claim_and_send(job_id))
    lose(ledger, backup)
    # When its sender, who got no answer, sends it again a month later
    ledger.pass_time(30 * DAY)
    again = ledger.accept(Event("evt_1"), draft())
    # Then the same job is looked for
    assert again.jobs == [job_id]
    look_first(ledger, job_id)


def test_a_lookup_goes_back_to_before_the_loss(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(delay_ms=HOUR)
    ledger.heartbeat()
    backup = Backup(ledger.store)
    known: Any = ledger.store.time()
    ledger.heartbeat()
    lose(ledger, backup)
    ledger.pass_time(HOUR)
    ledger.heartbeat()

    claim = look_first(ledger, job_id)

    passed = SETTLED + HOUR
    assert claim.job.intent_ms <= known[0] * SECOND - passed
    assert claim.claimed_ms - claim.job.intent_ms < passed + 3 * 60 * SECOND


def test_nothing_is_looked_for_when_the_time_of_repetitions_is_over(ledger: LedgerHarness) -> None:
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    lose(ledger, backup)
    ledger.pass_time(TIMES.keep)
    assert not ledger.claim(ledger.add_job()).verify_first


def test_nothing_is_looked_for_while_history_is_complete(ledger: LedgerHarness) -> None:
    for _ in range(3):
        ledger.heartbeat()
        ledger.finish(ledger.claim_and_send(ledger.add_job()))
    assert epoch(ledger) == 0


def test_a_loss_is_noticed_by_an_intent_before_any_heartbeat(ledger: LedgerHarness) -> None:
    # Given two jobs, and a process whose last intent is lost
    first, second = ledger.add_job(), ledger.add_job(account="studio")
    backup = Backup(ledger.store)
    ledger.finish(ledger.claim_and_send(first))
    backup.restore()
    # When it wants to write
    reply = ledger.record_intent(ledger.claim(second))
    # Then it waits until everything has settled, and what was lost is looked for
    assert (reply, epoch(ledger)) == ("waiting", 1)
    assert ledger.try_claim(first) is None
    ledger.pass_time(SETTLED)
    ledger.heartbeat()
    look_first(ledger, first)
    look_first(ledger, second)


def test_a_loss_is_noticed_by_the_web_when_it_accepts(ledger: LedgerHarness) -> None:
    backup = Backup(ledger.store)
    ledger.accept(Event("evt_1"), draft())
    backup.restore()
    ledger.accept(Event("evt_2"), draft())
    assert epoch(ledger) == 1


def test_a_claim_from_before_the_loss_was_noticed_writes_nothing(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given a process that has claimed a job and missed nothing
    with another_process(store_url) as other:
        claim = other.claim(other.add_job())
        ledger.heartbeat()
        backup = Backup(ledger.store)
        ledger.heartbeat()
        backup.restore()
        # When another notices the loss while the first prepares its write for long
        ledger.heartbeat()
        ledger.pass_time(SETTLED)
        ledger.store.hset(f"hg:job:{claim.id}", "lease", 2**42)
        # Then the job waits, and is looked for
        assert other.record_intent(claim) == "waiting"
        look_first(other, claim.id)
        assert audit(ledger) == []


def test_no_process_hides_what_another_has_missed(ledger: LedgerHarness, store_url: str) -> None:
    with another_process(store_url) as other:
        ledger.heartbeat()
        backup = Backup(ledger.store)
        ledger.heartbeat()
        backup.restore()
        for _ in range(5):
            other.heartbeat()
        assert epoch(ledger) == 0
        ledger.heartbeat()
        assert epoch(ledger) == 1


def test_a_loss_that_two_processes_notice_is_one(ledger: LedgerHarness, store_url: str) -> None:
    with another_process(store_url) as other:
        ledger.heartbeat()
        backup = Backup(ledger.store)
        for process in (ledger, other):
            process.heartbeat()
        backup.restore()
        for process in (ledger, other, ledger, other):
            process.heartbeat()
        assert epoch(ledger) == 1


def test_after_a_second_loss_a_job_is_looked_for_again(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.heartbeat()
    first = Backup(ledger.store)
    ledger.heartbeat()
    lose(ledger, first)
    not_found(ledger, look_first(ledger, job_id))
    second = Backup(ledger.store)
    assert ledger.finish(ledger.claim_and_send(job_id))
    lose(ledger, second)
    assert epoch(ledger) == 2
    look_first(ledger, job_id)


def test_a_store_that_is_empty_has_lost_everything(ledger: LedgerHarness) -> None:
    ledger.heartbeat()
    job_id = ledger.accept(Event("evt_1"), draft()).jobs[0]
    ledger.finish(ledger.claim_and_send(job_id))
    ledger.store.flushdb()
    ledger.heartbeat()
    ledger.pass_time(SETTLED)

    assert ledger.accept(Event("evt_1"), draft()).jobs == [job_id]
    claim = look_first(ledger, job_id)
    assert claim.claimed_ms - claim.job.intent_ms >= TIMES.keep


def test_a_lookup_that_was_not_made_is_still_owed(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    lose(ledger, backup)
    # When the attempt ends before it could look
    assert ledger.release(look_first(ledger, job_id), Status.WAITING, after_ms=SECOND) == "ok"
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    # Then the next one does
    claim = look_first(ledger, job_id)
    assert ledger.finish(claim, Status.FAILED)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    look_first(ledger, job_id)


def test_reads_go_on_after_a_loss_and_writes_wait_until_it_has_settled(
    ledger: LedgerHarness,
) -> None:
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    backup.restore()
    ledger.heartbeat()
    read = ledger.add_job(kind="followers", to="some.handle", account="reader", text="")
    dm = ledger.add_job()
    assert ledger.try_claim(read) is not None
    assert ledger.try_claim(dm) is None
    assert ledger.api_job(dm)["wait"]["reason"] == "history_lost"
    ledger.pass_time(SETTLED - SECOND)
    ledger.heartbeat()
    assert ledger.try_claim(dm) is None
    ledger.pass_time(SECOND)
    ledger.heartbeat()
    look_first(ledger, dm)


def test_a_clock_that_is_set_back_keeps_no_write_for_long(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    backup.restore()
    ledger.heartbeat()
    # When the store's clock is set back by a day
    ledger.pass_time(-DAY)
    ledger.heartbeat()
    ledger.pass_time(SETTLED)
    ledger.heartbeat()
    look_first(ledger, job_id)


def test_a_dry_run_needs_no_lookup(ledger: LedgerHarness) -> None:
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    lose(ledger, backup)
    assert not ledger.claim(ledger.add_job(dry_run=True)).verify_first


def test_a_loss_is_noticed_where_info_is_forbidden(
    ledger: LedgerHarness, store: redis.Redis, store_url: str
) -> None:
    store.acl_setuser(
        "worker",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=["-info"],
    )
    try:
        with open_ledger(store_url.replace("redis://", "redis://worker:secret@")) as worker:
            worker.heartbeat()
            backup = Backup(store)
            worker.heartbeat()
            assert not store.exists("hg:replid")
            backup.restore()
            worker.heartbeat()
            assert epoch(ledger) == 1
    finally:
        store.acl_deluser("worker")


def test_marks_of_processes_that_are_gone_are_dropped(ledger: LedgerHarness) -> None:
    for number in range(200):
        ledger.store.hset("hg:marks", f"gone-{number}", "7 1 0")
    ledger.heartbeat()
    assert ledger.store.hlen("hg:marks") == 1


def test_a_job_older_than_the_loss_is_looked_for_however_late_it_goes(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.add_job(delay_ms=60 * DAY)
    ledger.heartbeat()
    backup = Backup(ledger.store)
    ledger.heartbeat()
    lose(ledger, backup)
    ledger.pass_time(60 * DAY)
    ledger.heartbeat()
    look_first(ledger, job_id)


def test_two_losses_are_looked_for_from_the_first_on(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(delay_ms=HOUR)
    for _ in range(2):
        ledger.heartbeat()
        backup = Backup(ledger.store)
        ledger.heartbeat()
        lose(ledger, backup)
        ledger.pass_time(HOUR)
    ledger.heartbeat()
    claim = look_first(ledger, job_id)
    assert claim.claimed_ms - claim.job.intent_ms >= 2 * (HOUR + SETTLED)
