"""Random histories: whatever happens, no budget is overdrawn, and nobody waits past his time."""

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

STEPS_A_HISTORY: Final = 150
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
#: Within a lease, past it, past gaps, and past windows.
SPANS: Final = (SECOND, 4 * SECOND, 11 * SECOND, 30 * SECOND, 20 * 60 * SECOND, HOUR, 7 * HOUR)
WEIGHTS: Final = {"accept": 4, "work": 8, "end": 6, "let_time_pass": 4, "reach_an_alarm": 6}
#: How a write ends: as it should (mostly), or not.
ENDS: Final = {"finish": 6, "fail": 1, "doubt": 2, "rest": 1, "return_unsent": 2, "kill": 2}


@dataclass
class Charge:
    """A write as a witness has seen it: it began before `begun`, and ended from `ended` on.

    Parameters:
      account: Whose.
      kind: The budget it counts against.
      begun: In ms of the time that has passed.
      ended: Likewise, at the earliest; None while it goes on.
      settled: Likewise, at the latest.
    """

    account: str
    kind: PaceKind
    begun: float
    ended: float | None = None
    settled: float | None = None


class History:
    """Workers that work, fail and die while time passes, as a seed has it.

    What may happen is worked out here from the limits and from what the workers themselves saw.

    Parameters:
      ledger: The ledger, empty.
      seed: Decides everything.
    """

    def __init__(self, ledger: LedgerHarness, seed: int) -> None:
        self.ledger = ledger
        self.dice = random.Random(seed)
        self.passed = 0
        self.jobs: list[str] = []
        self.charges: list[Charge] = []
        self.writes: list[tuple[Claim, list[Charge]]] = []
        self.threads: set[tuple[str, str]] = set()
        self.answers: dict[str, bool] = {}

    def now(self) -> int:
        """The time by a clock that also shows what was let pass."""
        return now_ms(self.ledger.store) + self.passed

    def step(self) -> str:
        """Let one thing happen; its name."""
        [name] = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        getattr(self, name)()
        return name

    def accept(self) -> None:
        comment = self.dice.random() < 0.3
        asked: dict[str, Any] = {"kind": "comment", "to": None, "post": "Cx"} if comment else {}
        account = self.dice.choice(list(ACCOUNTS))
        self.jobs.append(self.ledger.add_job(account=account, callback=None, **asked))

    def work(self) -> None:
        for job_id in self.ledger.take_messages():
            claim = self.ledger.try_claim(job_id, f"worker-{self.dice.random()}")
            if claim is None or self.dice.random() < 0.1:
                continue  # whoever has claimed and forgets it dies here
            if claim.verify_first:
                self._look(claim)
            else:
                self._write(claim)

    def _look(self, claim: Claim) -> None:
        if self.dice.random() < 0.5:
            self._succeed(claim)
        else:
            assert self.ledger.release(claim, Status.QUEUED, charge="free") == "ok"

    def _write(self, claim: Claim) -> None:
        kind, account = claim.job.kind, claim.job.account
        pk = random.Random(claim.id).choice(RECIPIENTS)
        known = kind == "comment" or (account, pk) in self.threads or claim.id in self.answers
        reply = self.ledger.record_intent(claim, pk=pk, thread="")
        assert (reply == "ask") != known
        if reply == "ask":
            self.answers[claim.id] = self.dice.random() < 0.5
            thread: Any = "new" if self.answers[claim.id] else "old"
            reply = self.ledger.record_intent(claim, pk=pk, thread=thread, reads=1)
        if reply != "ok":
            assert reply == "waiting"
            return
        new = kind == "dm" and (account, pk) not in self.threads and self.answers[claim.id]
        kinds: tuple[PaceKind, ...] = ("dm", "dm_new_thread") if new else (claim.job.kind,)  # type: ignore[assignment]
        begun = self.now()
        charges = [Charge(account, each, begun) for each in kinds]
        for charge in charges:
            assert list(self._against(charge)) == []
        self.charges += charges
        self.writes.append((claim, charges))

    def _against(self, new: Charge) -> Iterator[str]:
        """What a write that has just begun goes against for certain."""
        own = ACCOUNTS[new.account].paces[new.kind]
        earlier = [each for each in self.charges if (each.account, each.kind) == _of(new)]
        for span, most in ((HOUR, own.per_hour), (DAY, own.per_day)):
            within = [e for e in earlier if e.ended is None or e.ended > new.begun - span]
            if len(within) >= most:
                yield f"{new} is one too many in {span} ms: {within}"
        last = max((each.ended or new.begun for each in earlier), default=-DAY)
        if new.begun < last + own.gap_seconds[0] * SECOND:
            yield f"{new} came within the gap after {last}"

    # -- how it goes on

    def end(self) -> None:
        if not self.writes:
            return
        [how] = self.dice.choices(list(ENDS), list(ENDS.values()))
        if how == "kill":
            self._pass(11 * SECOND)
            return
        before, (claim, charges) = self.now(), self.dice.choice(self.writes)
        self.writes.remove((claim, charges))
        getattr(self, f"_{how}")(claim)
        self._settle(charges, before)
        if how == "return_unsent":
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

    def _doubt(self, claim: Claim) -> None:
        assert self.ledger.release(claim, Status.SENDING, after_ms=2 * SECOND) == "ok"

    def _rest(self, claim: Claim) -> None:
        assert self.ledger.release(claim, Status.WAITING, after_ms=30 * SECOND) == "ok"

    def _return_unsent(self, claim: Claim) -> None:
        step = self.ledger.claims.release(claim, Status.QUEUED, "reason", charge="free", sent=False)
        assert self.ledger.run(step) == "ok"

    # -- time

    def let_time_pass(self) -> None:
        self._pass(self.dice.choice(SPANS))

    def reach_an_alarm(self) -> None:
        rings = [at for name in ACCOUNTS if (at := alarm_ms(self.ledger, name)) is not None]
        if rings:
            now = now_ms(self.ledger.store)
            self._pass(max(0, self.dice.choice(rings) - now + self.dice.choice([-50, 0, 5])))

    def _pass(self, ms: int) -> None:
        self.ledger.pass_time(ms)
        self.passed += ms
        self._beat()

    def _beat(self) -> None:
        before = self.now()
        self.ledger.heartbeat(*(claim for claim, _ in self.writes))
        for write in [each for each in self.writes if not self._holds(each[0])]:
            self.writes.remove(write)
            self._settle(write[1], before)
        assert list(self._overdue(before)) == []

    def _holds(self, claim: Claim) -> bool:
        known = self.ledger.store.hmget(f"hg:job:{claim.id}", "owner", "fence")
        return known == [claim.owner.encode(), str(claim.fence).encode()]

    def _overdue(self, now: int) -> Iterator[str]:
        """Lanes that were certainly open before the beat, and have nobody at work after it."""
        for name in ACCOUNTS:
            if self.ledger.turn(name) is not None:
                continue
            lanes: Any = self.ledger.store.smembers(f"hg:acct:{name}:lanes")
            for lane in (each.decode() for each in lanes):
                if all(self._is_open(name, kind, now) for kind in _KINDS[lane]):
                    yield f"nobody is at work for the lane {lane} of {name}"

    def _is_open(self, name: str, kind: PaceKind, now: int) -> bool:
        own: Pace = ACCOUNTS[name].paces[kind]
        ends = [each.settled for each in self.charges if (each.account, each.kind) == (name, kind)]
        if None in ends:
            return False
        ended = [end for end in ends if end is not None]
        rested = all(now >= end + own.gap_seconds[1] * SECOND for end in ended)
        hour = sum(end > now - HOUR for end in ended) < own.per_hour
        return rested and hour and sum(end > now - DAY for end in ended) < own.per_day


_KINDS: Final[dict[str, tuple[PaceKind, ...]]] = {
    "look": (),
    "dm": ("dm",),
    "dm_new_thread": ("dm", "dm_new_thread"),
    "dm_unknown": ("dm", "dm_new_thread"),
    "comment": ("comment",),
}


def _of(charge: Charge) -> tuple[str, PaceKind]:
    return charge.account, charge.kind


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


@pytest.mark.parametrize("seed", range(6))
def test_no_history_overdraws_a_budget_or_forgets_who_may_go(
    ledger_with: LedgerFactory, seed: int
) -> None:
    ledger = ledger_with(**ACCOUNTS)
    history, happened = History(ledger, seed), []

    for _ in range(STEPS_A_HISTORY):
        happened.append(history.step())
        assert audit(ledger) == [], happened

    assert len(history.charges) > 10, happened
