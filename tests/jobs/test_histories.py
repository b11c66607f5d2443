"""Random histories: the ledger stays consistent whatever happens, and all work ends."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from service.deliveries.store import DeliveryClaim
from service.jobs.account_effect import NO_EFFECT, AccountEffect
from service.jobs.claims import Claim, Thread
from service.jobs.lua.release_job import Charge
from service.jobs.model import FINAL, TRANSITIONS, Failure, JobDraft, SettledAs, Status
from tests.support.invariants import audit, illegal_steps
from tests.support.ledger import SECOND, Event, LedgerHarness, draft

STEPS_PER_HISTORY: Final = 150
ACCOUNTS: Final = ("shop", "studio")
RELEASE_STATUSES: Final = (Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING)
ENDS: Final = (Status.SUCCEEDED, *sorted(FINAL))
EFFECTS: Final = (
    *(NO_EFFECT,) * 9,
    AccountEffect(hold="challenge"),
    AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=20 * SECOND),
    AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=20 * SECOND),
)
#: Steps after which the order of the queue is checked; people and time may change it.
ORDERED_STEPS: Final = (
    *("accept", "record_intent", "finish", "release"),
    *("cancel", "retry", "settle"),
)
#: Shorter and longer than a lease, and longer than every cooldown and recheck.
DURATIONS: Final = (100, 2 * SECOND, 4 * SECOND, 4 * SECOND, 11 * SECOND, 70 * SECOND)
#: How many of the latest claims are tried, lost ones included.
TRIED_CLAIMS: Final = 6
WEIGHTS: Final = {
    "accept": 4,
    "wake_up": 8,
    "lose_wake_ups": 1,
    "wake_up_twice": 2,
    "record_intent": 5,
    "finish": 3,
    "release": 5,
    "cancel": 1,
    "retry": 2,
    "settle": 2,
    "pause": 1,
    "resume": 2,
    "pass_some_time": 3,
    "deliver": 2,
}
#: No history needs more heartbeats to finish once everything works.
MAX_FINAL_HEARTBEATS: Final = 100


class History:
    """Senders, workers, people and time acting on one store, all decided by a seed.

    The expected result of a step is computed from `TRANSITIONS`, the valid claims, and the state
    and turn of the account.

    Parameters:
      ledger: The ledger, empty.
      seed: Seed of the random numbers.
    """

    #: How often each step is done.
    weights: Mapping[str, int] = WEIGHTS

    def __init__(self, ledger: LedgerHarness, seed: int) -> None:
        self.ledger = ledger
        self.rng = random.Random(seed)
        self.jobs: list[str] = []
        #: Claims that workers believe they have; some are lost.
        self.claims: list[Claim] = []
        self.deliveries: list[DeliveryClaim] = []

    def step(self) -> str:
        """Do one random step; returns its name."""
        [name] = self.rng.choices(list(self.weights), list(self.weights.values()))
        before = [self.ledger.turn(account) for account in ACCOUNTS]
        getattr(self, name)()
        after = [self.ledger.turn(account) for account in ACCOUNTS]
        for holder in {*after} - {*before, None} if name in ORDERED_STEPS else ():
            assert self._overtaken_jobs(str(holder)) == [], name
        return name

    # -- the account queue

    def _expected_status(self, job_id: str) -> Status:
        """The status that a job which may start now must have: held, queued or waiting."""
        job = self.ledger.record(job_id)
        shown = self.ledger.run(self.ledger.controls.show(job.account))
        if shown["hold"] and not job.intent_ms:
            return Status.HELD
        if shown["jobs"]["turn"] == job_id:
            return Status.QUEUED
        assert shown["jobs"]["turn"] or shown["hold"] or self._cooled(job.account) & {"*", job.kind}
        return Status.WAITING

    def _cooled(self, account: str) -> set[str]:
        return {
            cooldown["kind"]
            for cooldown in self.ledger.run(self.ledger.controls.show(account))["cooldowns"]
        }

    def _overtaken_jobs(self, job_id: str) -> list[str]:
        """Eligible jobs that are before a job in its account queue."""
        job, store = self.ledger.record(job_id), self.ledger.store
        cooled = self._cooled(job.account)
        if "*" in cooled:
            return []
        names: Any = store.keys(f"hg:acct:{job.account}:line:*")
        heads: Any = [store.zrange(name, 0, 0) for name in sorted(names)]
        return [
            first.id
            for first in (self.ledger.record(head.decode()) for [head] in heads)
            if (first.kind not in cooled or first.intent_ms > 0)
            and (-first.priority, first.seq) < (-job.priority, job.seq)
        ]

    # -- events

    def accept(self) -> None:
        job_draft, event = self._draft(), Event(f"evt_{len(self.jobs)}")
        [job_id] = self.ledger.accept(event, job_draft).jobs
        self.jobs.append(job_id)
        if job_draft.failure is not None:
            assert self.ledger.status(job_id) is Status.FAILED
        else:
            expected = Status.SCHEDULED if job_draft.delay_ms else self._expected_status(job_id)
            assert self.ledger.status(job_id) is expected
        assert self.ledger.accept(event, job_draft).jobs == [job_id]

    def _draft(self) -> JobDraft:
        pick = self.rng.choice
        return draft(
            account=pick(ACCOUNTS),
            kind=pick(["dm", "comment"]),
            priority=self.rng.randrange(10),
            delay_ms=pick([0, 0, 0, 5 * SECOND]),
            expires_ms=pick([None, None, 15 * SECOND]),
            callback=pick(["crm", None]),
            failure=pick([None] * 9 + [Failure("recipient_missing", "Nobody.")]),
        )

    # -- the broker and the workers

    def wake_up(self) -> None:
        for job_id in self.ledger.take_messages():
            self._claim(job_id)

    def lose_wake_ups(self) -> None:
        self.ledger.take_messages()

    def wake_up_twice(self) -> None:
        if self.jobs:
            self._claim(self.rng.choice(self.jobs))

    def _claim(self, job_id: str) -> None:
        before = self.ledger.record(job_id)
        claim = self.ledger.try_claim(job_id, f"worker-{self.rng.random()}")
        if claim is not None:
            assert claim.fence == before.fence + 1
            assert claim.verify_first == (before.intent_ms > 0)
            self.claims.append(claim)

    def _pick_claim(self) -> Claim | None:
        """A claim that a worker believes to have; mostly a valid one."""
        valid = [claim for claim in self.claims if self._is_valid(claim)]
        candidates = valid if valid and self.rng.random() < 0.8 else self.claims[-TRIED_CLAIMS:]
        return self.rng.choice(candidates) if candidates else None

    def _is_valid(self, claim: Claim) -> bool:
        stored = self.ledger.store.hmget(f"hg:job:{claim.id}", "owner", "fence")
        return stored == [claim.owner.encode(), str(claim.fence).encode()]

    def record_intent(self) -> None:
        if (claim := self._pick_claim()) is None:
            return
        valid, before = self._is_valid(claim), self.ledger.status(claim.id)
        thread: Thread = self.rng.choice(("old", "new", ""))
        reply = self.ledger.record_intent(claim, thread=thread)
        if reply == "ask":
            assert (valid, before, claim.job.kind, thread) == (True, Status.RUNNING, "dm", "")
            assert (self._is_valid(claim), self.ledger.status(claim.id)) == (True, before)
        elif reply == "ok":
            assert (valid, before) == (True, Status.RUNNING)
            assert self.ledger.status(claim.id) is Status.SENDING
        else:
            ended = before if reply == "lost" else Status(reply)
            assert self.ledger.status(claim.id) is ended

    def finish(self) -> None:
        if (claim := self._pick_claim()) is None:
            return
        valid, before, to = (
            self._is_valid(claim),
            self.ledger.status(claim.id),
            self.rng.choice(ENDS),
        )
        ended = self.ledger.finish(claim, to)
        assert ended == (valid and to in TRANSITIONS[before])
        assert self.ledger.status(claim.id) is (to if ended else before)

    def release(self) -> None:
        if (claim := self._pick_claim()) is None:
            return
        valid, before = self._is_valid(claim), self.ledger.status(claim.id)
        to, effect = self.rng.choice(RELEASE_STATUSES), self.rng.choice(EFFECTS)
        delay = 0 if effect.hold else self.rng.choice(DURATIONS)
        charge: Charge = self.rng.choice(("counts", "failed", "free"))
        in_turn = self.ledger.turn(claim.job.account) == claim.id
        reply = self.ledger.release(claim, to, after_ms=delay, charge=charge, effect=effect)
        if not valid or (to is Status.SENDING and before is not Status.SENDING):
            assert (reply, self.ledger.status(claim.id)) == ("lost", before)
        elif reply == "ended":
            assert self.ledger.status(claim.id) in (Status.CANCELED, Status.EXPIRED)
        else:
            # A job that may start now is queued; so is one whose cooldown it has just caused, and
            # if it had the turn, the turn is passed on at once.
            is_queued = to is Status.QUEUED or (
                to is Status.WAITING and effect.cooldown and in_turn
            )
            expected = self._expected_status(claim.id) if is_queued else to
            assert (reply, self.ledger.status(claim.id)) == ("ok", expected)

    # -- people

    def cancel(self) -> None:
        if not self.jobs:
            return
        job_id = self.rng.choice(self.jobs)
        before = self.ledger.status(job_id)
        reply = self.ledger.run(self.ledger.core.cancel(job_id, "api:test"))
        assert (reply == "asked") == (before is Status.RUNNING)
        if reply == "ok":
            assert self.ledger.status(job_id) is Status.CANCELED

    def retry(self) -> None:
        ended = [job_id for job_id in self.jobs if self.ledger.status(job_id) in FINAL]
        if not ended:
            return
        before = self.ledger.record(self.rng.choice(ended))
        reply = self.ledger.run(self.ledger.core.retry(before.id, "api:test"))
        assert (reply == "ok") == (before.status in (Status.FAILED, Status.UNCERTAIN))
        assert self.ledger.record(before.id).run == before.run + (reply == "ok")
        if reply == "ok":
            assert self.ledger.status(before.id) is self._expected_status(before.id)

    def settle(self) -> None:
        ended = [job_id for job_id in self.jobs if self.ledger.status(job_id) in FINAL]
        if not ended:
            return
        uncertain = [it for it in ended if self.ledger.status(it) is Status.UNCERTAIN]
        before = self.ledger.record(self.rng.choice(uncertain or ended))
        settled_as: SettledAs = self.rng.choice(("sent", "not_sent"))
        step = self.ledger.core.settle(before.id, settled_as, "api:test", note="looked")
        settles = self.ledger.run(step) == "ok" and before.status is Status.UNCERTAIN
        assert settles == (before.status is Status.UNCERTAIN)
        assert self.ledger.record(before.id).run == before.run + settles

    def pause(self) -> None:
        self.ledger.run(self.ledger.controls.pause(self.rng.choice(ACCOUNTS)))

    def resume(self) -> None:
        account = self.rng.choice(ACCOUNTS)
        self.ledger.run(self.ledger.controls.resume(account))
        shown = self.ledger.run(self.ledger.controls.show(account))
        assert (shown["status"], shown["jobs"]["held"]) == ("active", 0)

    # -- time

    def pass_some_time(self) -> None:
        self.ledger.pass_time(self.rng.choice(DURATIONS))
        renewed = [claim for claim in self._live_claims() if self.rng.random() < 0.6]
        late = {claim.id for claim in renewed if not self._is_valid(claim)}
        lost, _ = self.ledger.heartbeat(*renewed, most=self.rng.choice([1, 100]))
        assert late <= set(lost)

    def _live_claims(self) -> Sequence[Claim]:
        return self.claims

    # -- callbacks

    def deliver(self) -> None:
        ends: list[Any] = ["delivered", "failed", "pending"]
        for delivery_id in self.ledger.take_messages("callbacks"):
            step = self.ledger.deliveries.claim(delivery_id, f"worker-{self.rng.random()}")
            claim = self.ledger.run(step)
            if claim is not None:
                self.deliveries.append(claim)
        for claim in self.deliveries[::2]:
            after_ms, to = self.rng.choice(DURATIONS), self.rng.choice(ends)
            self.ledger.run(self.ledger.deliveries.record(claim, to, {}, after_ms=after_ms))
        del self.deliveries[::2]

    # -- finishing

    def finish_everything(self) -> None:
        """Resume all accounts, and do all work that the broker delivers."""
        for account in ACCOUNTS:
            self.ledger.run(self.ledger.controls.resume(account))
        for _ in range(MAX_FINAL_HEARTBEATS):
            self.ledger.pass_time(4 * SECOND)
            self.ledger.heartbeat()
            self._finish_woken()
            if all(self.ledger.status(job_id) in FINAL for job_id in self.jobs):
                return

    def _finish_woken(self) -> None:
        for job_id in self.ledger.take_messages():
            claim = self.ledger.try_claim(job_id, "the last worker")
            if claim is not None:
                assert self.ledger.finish(claim)


@pytest.mark.parametrize("seed", range(8))
def test_no_history_makes_the_ledger_inconsistent_or_strands_a_job(
    ledger: LedgerHarness, seed: int
) -> None:
    check_history(ledger, History(ledger, seed))


def check_history(ledger: LedgerHarness, history: History) -> None:
    """Do a history's steps and finish all its work; nothing of it may be inconsistent."""
    steps = []
    for _ in range(STEPS_PER_HISTORY):
        steps.append(history.step())
        assert audit(ledger) == [], steps
    history.finish_everything()

    assert {job_id for job_id in history.jobs if ledger.status(job_id) not in FINAL} == set()
    assert audit(ledger) == []
    assert [illegal_steps(ledger, job_id) for job_id in history.jobs] == [[]] * len(history.jobs)
