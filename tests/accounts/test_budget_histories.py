"""Random histories: no budget is ever exceeded, and no eligible job is left waiting."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import redis

from service.config.pacing import Pace, PaceKind
from service.jobs.claims import Claim
from service.jobs.lua.limits import AccountLimits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND, LedgerHarness
from tests.support.limited_ledger import (
    LedgerFactory,
    alarm_ms,
    ledger_factory,
    limits,
    now_ms,
    pace,
)

STEPS_PER_HISTORY: Final = 150
ACCOUNTS: Final[dict[str, AccountLimits]] = {
    "shop": limits(
        dm=pace((5, 15), per_hour=3, per_day=9),
        dm_new_thread=pace((20, 40), per_hour=1, per_day=4),
        comment=pace((5, 5), per_hour=2, per_day=5),
        lookup=pace((1, 2), per_hour=6, per_day=20),
    ),
    "studio": limits(dm=pace(per_hour=1, per_day=2), comment=pace((0, 60), per_day=3)),
}
RECIPIENTS: Final = ("1", "2", "3", "4")
#: Shorter and longer than a lease, a gap and a window.
DURATIONS: Final = (SECOND, 4 * SECOND, 11 * SECOND, 30 * SECOND, 20 * 60 * SECOND, HOUR, 7 * HOUR)
WEIGHTS: Final = {"accept": 4, "work": 8, "end": 6, "pass_some_time": 4, "pass_until_an_alarm": 6}
#: How writes end, and how often.
ENDS: Final = {"finish": 6, "fail": 1, "leave_unknown": 2, "wait": 1, "return_unsent": 2, "kill": 2}


@dataclass
class Charge:
    """A write as observed from outside: it began before `begun`, and ended between two times.

    Parameters:
      account: Its account.
      kind: The budget it is charged to.
      begun: Milliseconds, on the clock of `History.now`.
      ended: The earliest time it may have ended; None while it runs.
      settled: The latest time.
    """

    account: str
    kind: PaceKind
    begun: float
    ended: float | None = None
    settled: float | None = None


class History:
    """Workers that work, fail and die while time passes, all decided by a seed.

    What is allowed is computed here from the limits and from what the workers observed.

    Parameters:
      ledger: The ledger, empty.
      seed: Seed of the random numbers.
    """

    def __init__(self, ledger: LedgerHarness, seed: int) -> None:
        self.ledger = ledger
        self.rng = random.Random(seed)
        self.passed = 0
        self.jobs: list[str] = []
        self.charges: list[Charge] = []
        self.writes: list[tuple[Claim, list[Charge]]] = []
        self.threads: set[tuple[str, str]] = set()
        self.opens_thread: dict[str, bool] = {}

    def now(self) -> int:
        """The store's time, including the time that was skipped."""
        return now_ms(self.ledger.store) + self.passed

    def step(self) -> str:
        """Do one random step; returns its name."""
        [name] = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        getattr(self, name)()
        return name

    def accept(self) -> None:
        comment = self.rng.random() < 0.3
        changes: dict[str, Any] = {"kind": "comment", "to": None, "post": "Cx"} if comment else {}
        account = self.rng.choice(list(ACCOUNTS))
        self.jobs.append(self.ledger.add_job(account=account, callback=None, **changes))

    def work(self) -> None:
        for job_id in self.ledger.take_messages():
            claim = self.ledger.try_claim(job_id, f"worker-{self.rng.random()}")
            if claim is None or self.rng.random() < 0.1:
                continue  # the worker dies after its claim
            if claim.verify_first:
                self._verify(claim)
            else:
                self._write(claim)

    def _verify(self, claim: Claim) -> None:
        if self.rng.random() < 0.5:
            self._succeed(claim)
        else:
            assert self.ledger.release(claim, Status.QUEUED, charge="free") == "ok"

    def _write(self, claim: Claim) -> None:
        kind, account = claim.job.kind, claim.job.account
        pk = random.Random(claim.id).choice(RECIPIENTS)
        thread_known = (
            kind == "comment" or (account, pk) in self.threads or claim.id in self.opens_thread
        )
        reply = self.ledger.record_intent(claim, pk=pk, thread="")
        assert (reply == "ask") != thread_known
        if reply == "ask":
            self.opens_thread[claim.id] = self.rng.random() < 0.5
            thread: Any = "new" if self.opens_thread[claim.id] else "old"
            reply = self.ledger.record_intent(claim, pk=pk, thread=thread, reads=1)
        if reply != "ok":
            assert reply == "waiting"
            return
        new = kind == "dm" and (account, pk) not in self.threads and self.opens_thread[claim.id]
        kinds: tuple[PaceKind, ...] = ("dm", "dm_new_thread") if new else (claim.job.kind,)  # type: ignore[assignment]
        begun = self.now()
        charges = [Charge(account, charged, begun) for charged in kinds]
        for charge in charges:
            assert list(self._violations(charge)) == []
        self.charges += charges
        self.writes.append((claim, charges))

    def _violations(self, new: Charge) -> Iterator[str]:
        """The limits that a write which has just begun certainly violates."""
        own = ACCOUNTS[new.account].paces[new.kind]
        earlier = [charge for charge in self.charges if _key(charge) == _key(new)]
        for window_ms, limit in ((HOUR, own.per_hour), (DAY, own.per_day)):
            charged = [e for e in earlier if e.ended is None or e.ended > new.begun - window_ms]
            if len(charged) >= limit:
                yield f"{new} exceeds the limit of {limit} in {window_ms} ms: {charged}"
        last = max((charge.ended or new.begun for charge in earlier), default=-DAY)
        if new.begun < last + own.gap_seconds[0] * SECOND:
            yield f"{new} began within the gap after {last}"

    # -- ends of writes

    def end(self) -> None:
        if not self.writes:
            return
        [end] = self.rng.choices(list(ENDS), list(ENDS.values()))
        if end == "kill":
            self._pass(11 * SECOND)
            return
        before, (claim, charges) = self.now(), self.rng.choice(self.writes)
        self.writes.remove((claim, charges))
        getattr(self, f"_{end}")(claim)
        self._settle(charges, before)
        if end == "return_unsent":
            self.charges = [charge for charge in self.charges if charge not in charges]

    def _settle(self, charges: list[Charge], before: int) -> None:
        for charge in charges:
            charge.ended, charge.settled = before, self.now()

    def _succeed(self, claim: Claim) -> None:
        assert self.ledger.finish(claim)
        record = self.ledger.record(claim.id)
        if record.kind == "dm":
            self.threads.add((record.account, record.pk))

    _finish = _succeed

    def _fail(self, claim: Claim) -> None:
        assert self.ledger.finish(claim, Status.FAILED)

    def _leave_unknown(self, claim: Claim) -> None:
        assert self.ledger.release(claim, Status.SENDING, after_ms=2 * SECOND) == "ok"

    def _wait(self, claim: Claim) -> None:
        assert self.ledger.release(claim, Status.WAITING, after_ms=30 * SECOND) == "ok"

    def _return_unsent(self, claim: Claim) -> None:
        step = self.ledger.claims.release(claim, Status.QUEUED, "reason", charge="free", sent=False)
        assert self.ledger.run(step) == "ok"

    # -- passing time

    def pass_some_time(self) -> None:
        self._pass(self.rng.choice(DURATIONS))

    def pass_until_an_alarm(self) -> None:
        alarms = [at for name in ACCOUNTS if (at := alarm_ms(self.ledger, name)) is not None]
        if alarms:
            now = now_ms(self.ledger.store)
            self._pass(max(0, self.rng.choice(alarms) - now + self.rng.choice([-50, 0, 5])))

    def _pass(self, ms: int) -> None:
        self.ledger.pass_time(ms)
        self.passed += ms
        self._heartbeat()

    def _heartbeat(self) -> None:
        before = self.now()
        self.ledger.heartbeat(*(claim for claim, _ in self.writes))
        for write in [write for write in self.writes if not self._is_claimed(write[0])]:
            self.writes.remove(write)
            self._settle(write[1], before)
        assert list(self._overdue(before)) == []

    def _is_claimed(self, claim: Claim) -> bool:
        stored = self.ledger.store.hmget(f"hg:job:{claim.id}", "owner", "fence")
        return stored == [claim.owner.encode(), str(claim.fence).encode()]

    def _overdue(self, now: int) -> Iterator[str]:
        """Sub-queues that were certainly unblocked before the heartbeat, and idle after it."""
        for name in ACCOUNTS:
            if self.ledger.turn(name) is not None:
                continue
            sub_queues: Any = self.ledger.store.smembers(f"hg:acct:{name}:lanes")
            for sub_queue in (member.decode() for member in sub_queues):
                if all(self._is_open(name, kind, now) for kind in _KINDS[sub_queue]):
                    yield f"no job of the sub-queue {sub_queue} of {name} runs"

    def _is_open(self, name: str, kind: PaceKind, now: int) -> bool:
        own: Pace = ACCOUNTS[name].paces[kind]
        ends = [charge.settled for charge in self.charges if _key(charge) == (name, kind)]
        if None in ends:
            return False
        ended = [end for end in ends if end is not None]
        gap_over = all(now >= end + own.gap_seconds[1] * SECOND for end in ended)
        hour = sum(end > now - HOUR for end in ended) < own.per_hour
        return gap_over and hour and sum(end > now - DAY for end in ended) < own.per_day


_KINDS: Final[dict[str, tuple[PaceKind, ...]]] = {
    "look": (),
    "dm": ("dm",),
    "dm_new_thread": ("dm", "dm_new_thread"),
    "dm_unknown": ("dm", "dm_new_thread"),
    "comment": ("comment",),
}


def _key(charge: Charge) -> tuple[str, PaceKind]:
    return charge.account, charge.kind


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


@pytest.mark.parametrize("seed", range(6))
def test_no_history_exceeds_a_budget_or_leaves_an_eligible_job_waiting(
    ledger_with: LedgerFactory, seed: int
) -> None:
    ledger = ledger_with(**ACCOUNTS)
    history, steps = History(ledger, seed), []

    for _ in range(STEPS_PER_HISTORY):
        steps.append(history.step())
        assert audit(ledger) == [], steps

    assert len(history.charges) > 10, steps
