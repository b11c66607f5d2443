"""However many jobs there are, one script call does a bounded amount of work."""

from __future__ import annotations

import itertools

from service.jobs.ledger import PRUNE_BATCH
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.control_account import control_account
from service.jobs.lua.prune import prune
from service.jobs.model import Status
from service.jobs.rescue import RESCUE_BATCH, UNFINISHED_INDEXES
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

#: More than any one call handles.
JOB_COUNT = 130
HELD_BATCH = 25


def _held(ledger: LedgerHarness) -> int:
    return int(ledger.store.zcard("hg:acct:shop:held:dm"))


def test_a_turn_ending_at_a_blocked_account_holds_a_batch_and_each_heartbeat_another(
    ledger: LedgerHarness,
) -> None:
    holder = ledger.claim(ledger.add_job())
    ledger.add_jobs(JOB_COUNT)
    ledger.run(ledger.controls.pause("shop"))

    assert ledger.release(holder, Status.QUEUED) == "ok"
    assert _held(ledger) <= HELD_BATCH + 1
    counts = [_held(ledger)]
    while counts[-1] < JOB_COUNT + 1:
        assert ledger.heartbeat()[1] > 0
        counts.append(_held(ledger))
    assert max(after - before for before, after in itertools.pairwise(counts)) <= HELD_BATCH
    assert audit(ledger) == []


def test_accounts_blocked_at_once_share_one_heartbeats_batch(ledger: LedgerHarness) -> None:
    for name in ("shop", "studio", "depot"):
        holder = ledger.claim(ledger.add_job(account=name))
        ledger.add_jobs(HELD_BATCH, account=name)
        ledger.run(ledger.controls.pause(name))
        ledger.store.zadd("hg:turns", {name: 1})
        ledger.store.hset(f"hg:job:{holder.id}", "lease", 1)
        ledger.store.zadd("hg:leases", {holder.id: 1})

    before = _all_held(ledger)
    ledger.heartbeat()

    assert 0 < _all_held(ledger) - before <= HELD_BATCH + 3
    for _ in range(10):
        ledger.heartbeat()
    assert _all_held(ledger) == 3 * (HELD_BATCH + 1)
    assert audit(ledger) == []


def _all_held(ledger: LedgerHarness) -> int:
    return int(ledger.store.zcard("hg:jobs:status:held"))


def test_resuming_releases_a_batch_per_call(ledger: LedgerHarness) -> None:
    ledger.run(ledger.controls.pause("shop"))
    ledger.add_jobs(JOB_COUNT)

    resume = control_account("shop", "resume", "", HELD_BATCH, "test", "")
    assert ledger.scripts.run(resume) == HELD_BATCH
    assert _held(ledger) == JOB_COUNT - HELD_BATCH
    assert ledger.run(ledger.controls.resume("shop")) == JOB_COUNT - HELD_BATCH
    assert audit(ledger) == []


def test_a_rescue_checks_a_batch_per_call(ledger: LedgerHarness) -> None:
    ledger.add_jobs(JOB_COUNT, delay_ms=HOUR)
    rescue = check_consistency("rescue", RESCUE_BATCH, *UNFINISHED_INDEXES)

    checked = [ledger.scripts.run(rescue)[:2] for _ in range(2)]

    assert checked == [(RESCUE_BATCH, False), (JOB_COUNT - RESCUE_BATCH, True)]


def test_a_consistency_check_checks_a_batch_per_call(ledger: LedgerHarness) -> None:
    entries = [("job", job_id) for job_id in ledger.add_jobs(JOB_COUNT, delay_ms=HOUR)]

    reply = ledger.scripts.run(check_consistency("report", RESCUE_BATCH, *entries))

    assert reply == (RESCUE_BATCH, False, [])


def test_pruning_deletes_a_batch_per_call_and_reports_if_there_are_more(
    ledger: LedgerHarness,
) -> None:
    for job_id in ledger.add_jobs(JOB_COUNT // 2):
        ledger.run(ledger.core.cancel(job_id, "api:test"))
    ledger.store.zremrangebyrank("hg:dlvs:status:pending", 0, -1)
    ledger.pass_time(TIMES.keep + SECOND)

    checked = [ledger.scripts.run(prune(PRUNE_BATCH)).looked for _ in range(4)]

    assert checked == [PRUNE_BATCH, PRUNE_BATCH, JOB_COUNT - 2 * PRUNE_BATCH, 0]


def test_the_callbacks_of_a_job_that_was_retried_often_are_pruned_in_steps(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.FAILED)
    for run in range(JOB_COUNT):
        assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
        ledger.run(ledger.core.cancel(job_id, "api:test"))
        ledger.store.hset(f"hg:job:{job_id}", "status", "failed")
        ledger.store.zadd("hg:jobs:status:failed", {job_id: ledger.record(job_id).seq})
        ledger.store.set(f"hg:jobtext:{job_id}", "text")
        assert ledger.record(job_id).run == run + 2
    for key in ledger.store.scan_iter("hg:dlv:*"):
        ledger.store.hset(key, "status", "delivered")
    ledger.pass_time(TIMES.keep + SECOND)

    dropped = [ledger.scripts.run(prune(PRUNE_BATCH)).dropped for _ in range(5)]

    assert max(dropped) <= PRUNE_BATCH + 11
    assert sum(dropped) == JOB_COUNT + len(("job", "event", "its first run"))
    assert [*ledger.store.scan_iter("hg:dlv:*")] == []


def test_a_long_audit_log_is_trimmed_in_steps(
    ledger: LedgerHarness,
) -> None:
    with ledger.store.pipeline(transaction=False) as pipe:
        for number in range(12_000):
            pipe.xadd("hg:audit", {"n": number}, id=f"{number + 1}-0")
        pipe.execute()

    lengths: list[int] = []
    while not lengths or lengths[-1]:
        ledger.scripts.run(prune(1))
        lengths.append(int(ledger.store.xlen("hg:audit")))
        assert len(lengths) < 10

    steps = itertools.pairwise([12_000, *lengths])
    assert max(before - after for before, after in steps) <= 5_000
