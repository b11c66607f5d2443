"""However many jobs there are, one call of a script does a bounded amount: others wait."""

from __future__ import annotations

import itertools

from service.jobs.ledger import PRUNE_BATCH, RESCUE_BATCH, UNENDED_INDEXES
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.control_account import control_account
from service.jobs.lua.prune import prune
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness

#: More than any one call takes.
CROWD = 130
HELD_AT_ONCE = 25


def _held(ledger: LedgerHarness) -> int:
    return int(ledger.store.zcard("hg:acct:shop:held:dm"))


def test_a_turn_that_ends_before_a_closed_door_holds_some_and_each_beat_some_more(
    ledger: LedgerHarness,
) -> None:
    holder = ledger.claim(ledger.add_job())
    ledger.add_jobs(CROWD)
    ledger.run(ledger.controls.pause("shop"))

    assert ledger.release(holder, Status.QUEUED) == "ok"
    assert _held(ledger) <= HELD_AT_ONCE + 1
    counts = [_held(ledger)]
    while counts[-1] < CROWD + 1:
        assert ledger.heartbeat()[1] > 0
        counts.append(_held(ledger))
    assert max(after - before for before, after in itertools.pairwise(counts)) <= HELD_AT_ONCE
    assert audit(ledger) == []


def test_accounts_that_close_at_once_share_what_one_beat_holds(ledger: LedgerHarness) -> None:
    for name in ("shop", "studio", "depot"):
        holder = ledger.claim(ledger.add_job(account=name))
        ledger.add_jobs(HELD_AT_ONCE, account=name)
        ledger.run(ledger.controls.pause(name))
        ledger.store.zadd("hg:turns", {name: 1})
        ledger.store.hset(f"hg:job:{holder.id}", "lease", 1)
        ledger.store.zadd("hg:leases", {holder.id: 1})

    before = _all_held(ledger)
    ledger.heartbeat()

    assert 0 < _all_held(ledger) - before <= HELD_AT_ONCE + 3
    for _ in range(10):
        ledger.heartbeat()
    assert _all_held(ledger) == 3 * (HELD_AT_ONCE + 1)
    assert audit(ledger) == []


def _all_held(ledger: LedgerHarness) -> int:
    return int(ledger.store.zcard("hg:jobs:status:held"))


def test_a_resume_lets_some_go_in_one_call_and_all_in_several(ledger: LedgerHarness) -> None:
    ledger.run(ledger.controls.pause("shop"))
    ledger.add_jobs(CROWD)

    resume = control_account("shop", "resume", "", HELD_AT_ONCE, "test", "")
    assert ledger.scripts.run(resume) == HELD_AT_ONCE
    assert _held(ledger) == CROWD - HELD_AT_ONCE
    assert ledger.run(ledger.controls.resume("shop")) == CROWD - HELD_AT_ONCE
    assert audit(ledger) == []


def test_a_sweep_looks_at_so_many_in_one_call(ledger: LedgerHarness) -> None:
    ledger.add_jobs(CROWD, delay_ms=HOUR)
    sweep = check_consistency("rescue", RESCUE_BATCH, *UNENDED_INDEXES)

    looked = [ledger.scripts.run(sweep)[:2] for _ in range(2)]

    assert looked == [(RESCUE_BATCH, False), (CROWD - RESCUE_BATCH, True)]


def test_an_examination_looks_at_so_much_in_one_call(ledger: LedgerHarness) -> None:
    entries = [("job", job_id) for job_id in ledger.add_jobs(CROWD, delay_ms=HOUR)]

    reply = ledger.scripts.run(check_consistency("report", RESCUE_BATCH, *entries))

    assert reply == (RESCUE_BATCH, False, [])


def test_retention_drops_so_many_in_one_call_and_says_whether_there_are_more(
    ledger: LedgerHarness,
) -> None:
    for job_id in ledger.add_jobs(CROWD // 2):
        ledger.run(ledger.core.cancel(job_id, "api:test"))
    ledger.store.zremrangebyrank("hg:dlvs:status:pending", 0, -1)
    ledger.pass_time(TIMES.keep + SECOND)

    looked = [ledger.scripts.run(prune(PRUNE_BATCH)).looked for _ in range(4)]

    assert looked == [PRUNE_BATCH, PRUNE_BATCH, CROWD - 2 * PRUNE_BATCH, 0]


def test_an_audit_of_months_is_trimmed_in_steps_and_to_the_last_entry(
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
