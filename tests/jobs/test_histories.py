"""Random histories: whatever happens in whatever order, the ledger stays sound and work ends."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from service.deliveries.store import DeliveryClaim
from service.jobs.claims import NO_EFFECT, AccountEffect, Claim, Thread
from service.jobs.lua.release_job import Charge
from service.jobs.model import FINAL, TRANSITIONS, Failure, JobDraft, Status
from tests.support.invariants import audit, illegal_steps
from tests.support.ledger import SECOND, Event, LedgerHarness, draft

STEPS_A_HISTORY: Final = 150
ACCOUNTS: Final = ("shop", "studio")
PARKINGS: Final = (Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING)
ENDS: Final = (Status.SUCCEEDED, *sorted(FINAL))
EFFECTS: Final = (
    *(NO_EFFECT,) * 9,
    AccountEffect(hold="challenge"),
    AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=20 * SECOND),
    AccountEffect(cooldown="slow_down", kind="*", cooldown_ms=20 * SECOND),
)
#: What is looked at for the order of a line; where a person or time decides, others do.
TURNS_PASS_IN: Final = ("accept", "intend", "finish", "release", "cancel", "retry")
#: Within a lease, past a lease, past every cooldown and recheck.
SPANS: Final = (100, 2 * SECOND, 4 * SECOND, 4 * SECOND, 11 * SECOND, 70 * SECOND)
#: How many claims that were lost are still tried.
STALE: Final = 6
#: How often each thing happens.
WEIGHTS: Final = {
    "accept": 4,
    "wake_up": 8,
    "lose_wake_ups": 1,
    "wake_up_twice": 2,
    "intend": 5,
    "finish": 3,
    "release": 5,
    "cancel": 1,
    "retry": 2,
    "pause": 1,
    "resume": 2,
    "let_time_pass": 3,
    "deliver": 2,
}
#: No history needs more beats than this to come to rest once everything works.
ENOUGH_BEATS: Final = 100


class History:
    """Doors, workers, people and time at work on one store, as a seed has it.

    What is expected of a step is worked out here from `TRANSITIONS`, from who holds what, and from
    the doors and the turn of the account.

    Parameters:
      ledger: The ledger, empty.
      seed: Decides everything.
    """

    def __init__(self, ledger: LedgerHarness, seed: int) -> None:
        self.ledger = ledger
        self.dice = random.Random(seed)
        self.jobs: list[str] = []
        #: What workers believe they hold: some of it they have lost.
        self.claims: list[Claim] = []
        self.deliveries: list[DeliveryClaim] = []

    def step(self) -> str:
        """Let one thing happen; its name."""
        [name] = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        before = [self.ledger.turn(account) for account in ACCOUNTS]
        getattr(self, name)()
        after = [self.ledger.turn(account) for account in ACCOUNTS]
        for holder in {*after} - {*before, None} if name in TURNS_PASS_IN else ():
            assert self._overtaken_by(str(holder)) == [], name
        return name

    # -- the line

    def _place(self, job_id: str) -> Status:
        """Where a job that may be begun now must stand: with a person, in turn, or in the line."""
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
            each["kind"]
            for each in self.ledger.run(self.ledger.controls.show(account))["cooldowns"]
        }

    def _overtaken_by(self, job_id: str) -> list[str]:
        """Who stands before a job in its account's line, and could go."""
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

    # -- the door

    def accept(self) -> None:
        asked, event = self._draft(), Event(f"evt_{len(self.jobs)}")
        [job_id] = self.ledger.accept(event, asked).jobs
        self.jobs.append(job_id)
        if asked.failure is not None:
            assert self.ledger.status(job_id) is Status.FAILED
        else:
            begins = Status.SCHEDULED if asked.delay_ms else self._place(job_id)
            assert self.ledger.status(job_id) is begins
        assert self.ledger.accept(event, asked).jobs == [job_id]

    def _draft(self) -> JobDraft:
        pick = self.dice.choice
        return draft(
            account=pick(ACCOUNTS),
            kind=pick(["dm", "comment"]),
            priority=self.dice.randrange(10),
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
            self._claim(self.dice.choice(self.jobs))

    def _claim(self, job_id: str) -> None:
        before = self.ledger.record(job_id)
        claim = self.ledger.try_claim(job_id, f"worker-{self.dice.random()}")
        if claim is not None:
            assert claim.fence == before.fence + 1
            assert claim.verify_first == (before.intent_ms > 0)
            self.claims.append(claim)

    def _take(self) -> Claim | None:
        """A claim that a worker believes in; mostly one that is still its own."""
        live = [claim for claim in self.claims if self._holds(claim)]
        believed = live if live and self.dice.random() < 0.8 else self.claims[-STALE:]
        return self.dice.choice(believed) if believed else None

    def _holds(self, claim: Claim) -> bool:
        known = self.ledger.store.hmget(f"hg:job:{claim.id}", "owner", "fence")
        return known == [claim.owner.encode(), str(claim.fence).encode()]

    def intend(self) -> None:
        if (claim := self._take()) is None:
            return
        held, before = self._holds(claim), self.ledger.status(claim.id)
        thread: Thread = self.dice.choice(("old", "new", ""))
        reply = self.ledger.record_intent(claim, thread=thread)
        if reply == "ask":
            assert (held, before, claim.job.kind, thread) == (True, Status.RUNNING, "dm", "")
            assert (self._holds(claim), self.ledger.status(claim.id)) == (True, before)
        elif reply == "ok":
            assert (held, before) == (True, Status.RUNNING)
            assert self.ledger.status(claim.id) is Status.SENDING
        else:
            ended = before if reply == "lost" else Status(reply)
            assert self.ledger.status(claim.id) is ended

    def finish(self) -> None:
        if (claim := self._take()) is None:
            return
        held, before, to = self._holds(claim), self.ledger.status(claim.id), self.dice.choice(ENDS)
        ended = self.ledger.finish(claim, to)
        assert ended == (held and to in TRANSITIONS[before])
        assert self.ledger.status(claim.id) is (to if ended else before)

    def release(self) -> None:
        if (claim := self._take()) is None:
            return
        held, before = self._holds(claim), self.ledger.status(claim.id)
        to, effect = self.dice.choice(PARKINGS), self.dice.choice(EFFECTS)
        delay = 0 if effect.hold else self.dice.choice(SPANS)
        charge: Charge = self.dice.choice(("counts", "failed", "free"))
        in_turn = self.ledger.turn(claim.job.account) == claim.id
        reply = self.ledger.release(claim, to, after_ms=delay, charge=charge, effect=effect)
        if not held or (to is Status.SENDING and before is not Status.SENDING):
            assert (reply, self.ledger.status(claim.id)) == ("lost", before)
        elif reply == "ended":
            assert self.ledger.status(claim.id) in (Status.CANCELED, Status.EXPIRED)
        else:
            # What may be begun now stands in line; so does what waits for a cooldown to end, and
            # where it had the turn it is seen at once who goes next.
            lines_up = to is Status.QUEUED or (to is Status.WAITING and effect.cooldown and in_turn)
            stands = self._place(claim.id) if lines_up else to
            assert (reply, self.ledger.status(claim.id)) == ("ok", stands)

    # -- people

    def cancel(self) -> None:
        if not self.jobs:
            return
        job_id = self.dice.choice(self.jobs)
        before = self.ledger.status(job_id)
        reply = self.ledger.run(self.ledger.core.cancel(job_id, "api:test"))
        assert (reply == "asked") == (before is Status.RUNNING)
        if reply == "ok":
            assert self.ledger.status(job_id) is Status.CANCELED

    def retry(self) -> None:
        ended = [job_id for job_id in self.jobs if self.ledger.status(job_id) in FINAL]
        if not ended:
            return
        before = self.ledger.record(self.dice.choice(ended))
        reply = self.ledger.run(self.ledger.core.retry(before.id, "api:test"))
        assert (reply == "ok") == (before.status in (Status.FAILED, Status.UNCERTAIN))
        assert self.ledger.record(before.id).run == before.run + (reply == "ok")
        if reply == "ok":
            assert self.ledger.status(before.id) is self._place(before.id)

    def pause(self) -> None:
        self.ledger.run(self.ledger.controls.pause(self.dice.choice(ACCOUNTS)))

    def resume(self) -> None:
        account = self.dice.choice(ACCOUNTS)
        self.ledger.run(self.ledger.controls.resume(account))
        shown = self.ledger.run(self.ledger.controls.show(account))
        assert (shown["status"], shown["jobs"]["held"]) == ("active", 0)

    # -- time

    def let_time_pass(self) -> None:
        self.ledger.pass_time(self.dice.choice(SPANS))
        renewed = [claim for claim in self.claims if self.dice.random() < 0.6]
        late = {claim.id for claim in renewed if not self._holds(claim)}
        lost, _ = self.ledger.heartbeat(*renewed, most=self.dice.choice([1, 100]))
        assert late <= set(lost)

    # -- callbacks

    def deliver(self) -> None:
        ends: list[Any] = ["delivered", "failed", "pending"]
        for delivery_id in self.ledger.take_messages("callbacks"):
            step = self.ledger.deliveries.claim(delivery_id, f"worker-{self.dice.random()}")
            claim = self.ledger.run(step)
            if claim is not None:
                self.deliveries.append(claim)
        for claim in self.deliveries[::2]:
            after_ms, to = self.dice.choice(SPANS), self.dice.choice(ends)
            self.ledger.run(self.ledger.deliveries.record(claim, to, {}, after_ms=after_ms))
        del self.deliveries[::2]

    # -- the end

    def come_to_rest(self) -> None:
        """Open every door and do all work that the broker brings."""
        for account in ACCOUNTS:
            self.ledger.run(self.ledger.controls.resume(account))
        for _ in range(ENOUGH_BEATS):
            self.ledger.pass_time(4 * SECOND)
            self.ledger.heartbeat()
            for job_id in self.ledger.take_messages():
                claim = self.ledger.try_claim(job_id, "the last worker")
                if claim is not None:
                    assert self.ledger.finish(claim)
            if all(self.ledger.status(job_id) in FINAL for job_id in self.jobs):
                return


@pytest.mark.parametrize("seed", range(8))
def test_no_history_breaks_the_books_or_strands_a_job(ledger: LedgerHarness, seed: int) -> None:
    history, happened = History(ledger, seed), []

    for _ in range(STEPS_A_HISTORY):
        happened.append(history.step())
        assert audit(ledger) == [], happened
    history.come_to_rest()

    assert {job_id for job_id in history.jobs if ledger.status(job_id) not in FINAL} == set()
    assert audit(ledger) == []
    assert [illegal_steps(ledger, job_id) for job_id in history.jobs] == [[]] * len(history.jobs)
