"""However many jobs there are, one call of a script does a bounded amount: others wait."""

from __future__ import annotations

import itertools

from service.jobs.ledger import PRUNE_BATCH, RESCUE_BATCH, UNENDED
from service.jobs.lua.runner import SyncScript
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import HOUR, SECOND, TIMES, Books

#: More than any one call takes.
CROWD = 130
HELD_AT_ONCE = 25


def _held(books: Books) -> int:
    return int(books.store.zcard("hg:acct:shop:held:dm"))


def test_a_turn_that_ends_before_a_closed_door_holds_some_and_each_beat_some_more(
    books: Books,
) -> None:
    holder = books.claim(books.job())
    books.many(CROWD)
    books.run(books.doors.pause("shop"))

    assert books.release(holder, Status.QUEUED) == "ok"
    assert _held(books) <= HELD_AT_ONCE + 1
    counts = [_held(books)]
    while counts[-1] < CROWD + 1:
        assert books.tick()[1] > 0
        counts.append(_held(books))
    assert max(after - before for before, after in itertools.pairwise(counts)) <= HELD_AT_ONCE
    assert audit(books) == []


def test_accounts_that_close_at_once_share_what_one_beat_holds(books: Books) -> None:
    for name in ("shop", "studio", "depot"):
        holder = books.claim(books.job(account=name))
        books.many(HELD_AT_ONCE, account=name)
        books.run(books.doors.pause(name))
        books.store.zadd("hg:turns", {name: 1})
        books.store.hset(f"hg:job:{holder.id}", "lease", 1)
        books.store.zadd("hg:leases", {holder.id: 1})

    before = _all_held(books)
    books.tick()

    assert 0 < _all_held(books) - before <= HELD_AT_ONCE + 3
    for _ in range(10):
        books.tick()
    assert _all_held(books) == 3 * (HELD_AT_ONCE + 1)
    assert audit(books) == []


def _all_held(books: Books) -> int:
    return int(books.store.zcard("hg:jobs:status:held"))


def test_a_resume_lets_some_go_in_one_call_and_all_in_several(books: Books) -> None:
    books.run(books.doors.pause("shop"))
    books.many(CROWD)
    resume = SyncScript(books.store, "control_account", books.times)

    assert resume(args=["shop", "resume", "", HELD_AT_ONCE, "test", ""]) == HELD_AT_ONCE
    assert _held(books) == CROWD - HELD_AT_ONCE
    assert books.run(books.doors.resume("shop")) == CROWD - HELD_AT_ONCE
    assert audit(books) == []


def test_a_sweep_looks_at_so_many_in_one_call(books: Books) -> None:
    books.many(CROWD, delay_ms=HOUR)
    sweep = SyncScript(books.store, "rescue_stranded", books.times)

    looked = [sweep(args=[RESCUE_BATCH, *UNENDED])[:2] for _ in range(2)]

    assert looked == [[RESCUE_BATCH, 0], [CROWD - RESCUE_BATCH, 1]]


def test_retention_drops_so_many_in_one_call_and_says_whether_there_are_more(books: Books) -> None:
    for job_id in books.many(CROWD // 2):
        books.run(books.ledger.cancel(job_id, "api:test"))
    books.store.zremrangebyrank("hg:dlvs:status:pending", 0, -1)
    books.pass_time(TIMES.keep + SECOND)
    forget = SyncScript(books.store, "prune", books.times)

    looked = [int(forget(args=[PRUNE_BATCH])[0]) for _ in range(4)]

    assert looked == [PRUNE_BATCH, PRUNE_BATCH, CROWD - 2 * PRUNE_BATCH, 0]


def test_an_audit_of_months_is_trimmed_in_steps_and_to_the_last_entry(books: Books) -> None:
    with books.store.pipeline(transaction=False) as pipe:
        for number in range(12_000):
            pipe.xadd("hg:audit", {"n": number}, id=f"{number + 1}-0")
        pipe.execute()
    forget = SyncScript(books.store, "prune", books.times)

    lengths: list[int] = []
    while not lengths or lengths[-1]:
        forget(args=[1])
        lengths.append(int(books.store.xlen("hg:audit")))
        assert len(lengths) < 10

    steps = itertools.pairwise([12_000, *lengths])
    assert max(before - after for before, after in steps) <= 5_000
