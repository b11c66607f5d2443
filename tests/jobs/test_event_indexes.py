"""The indexes by which events are found hold what their records say, and nothing costs the rest."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from service.jobs.event_index import EventIndex
from service.jobs.model import JobDraft, Recognition
from service.jobs.replies import Acceptance
from tests.support.consistency import assert_repairable
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import SECOND, TIMES, Event, LedgerHarness, draft

MEMBER, EVENT, OTHER = "stripe:evt_1", Event("evt_1"), Event("evt_1", fingerprint="e" * 64)


def note(outcome: str, rule: str = "thank-you") -> dict[str, Any]:
    return {"rule": rule, "outcome": outcome, "message": None}


def accept(ledger: LedgerHarness, event: Event, *drafts: JobDraft, **more: Any) -> Acceptance:
    given = {"body": b"{}", "notes": [note("matched")]} | more
    return ledger.run(ledger.core.accept("stripe", event, drafts, **given))


def indexes(ledger: LedgerHarness) -> set[str]:
    """The indexes of events besides the list of all, each with that one event."""
    names = {key.decode() for key in ledger.store.scan_iter("hg:events:*")}
    for name in names:
        assert ledger.store.zrange(name, 0, -1) == [MEMBER.encode()]
    return {name.removeprefix("hg:events:") for name in names}


def test_an_event_that_made_its_job_has_one_entry_beside_the_list_of_all(
    ledger: LedgerHarness,
) -> None:
    accept(ledger, EVENT, draft())
    assert indexes(ledger) == {f"type:{EVENT.type}"}


@pytest.mark.parametrize(
    ("notes", "outcomes"),
    [
        ([], {"no_rule_matched"}),
        ([note("when_false")], {"when_false", "no_rule_matched"}),
        ([note("when_error"), note("matched", "other")], {"when_error"}),
        ([note("rejected")], {"rejected"}),
        ([note("when_false"), note("when_false", "b"), note("matched", "c")], {"when_false"}),
        ([note("matched", "when_false")], set()),
        ([note("when_error"), note("matched")], set()),
    ],
)
def test_an_event_is_listed_by_what_each_rule_says_last(
    ledger: LedgerHarness, notes: list[dict[str, Any]], outcomes: set[str]
) -> None:
    accept(ledger, EVENT, notes=notes)
    assert indexes(ledger) == {f"type:{EVENT.type}", *(f"outcome:{each}" for each in outcomes)}
    assert diagnosis(ledger) == []


def test_a_replay_moves_an_event(ledger: LedgerHarness) -> None:
    failed = [note("when_error")]
    accept(ledger, EVENT, notes=failed)
    ledger.run(ledger.core.replay("stripe", "evt_1", [draft()], [*failed, note("matched")]))
    assert indexes(ledger) == {f"type:{EVENT.type}"}
    assert diagnosis(ledger) == []


@pytest.mark.parametrize("at_once", [False, True])
def test_another_shape_moves_an_event_also_in_one_step(
    ledger: LedgerHarness, at_once: bool
) -> None:
    other = Event("evt_1", fingerprint="e" * 64, type="order.settled")
    accept_event = partial(ledger.core.accept, "stripe", body=b"{}")
    first: dict[str, Any] = {"notes": [note("when_error")], "recognition": Recognition("a")}
    again: dict[str, Any] = {"notes": [note("matched")], "recognition": Recognition("b")}

    async def accept_both() -> None:
        calls = accept_event(EVENT, [], **first), accept_event(other, [draft()], **again)
        if at_once:
            await asyncio.gather(*calls)
        else:
            for call in calls:
                await call

    ledger.run(accept_both())
    assert indexes(ledger) == {"type:order.settled"}
    assert diagnosis(ledger) == []


@pytest.mark.parametrize("status", ["ignored", "quarantined"])
def test_an_event_that_no_rule_ran_for_is_listed_by_its_status(
    ledger: LedgerHarness, status: str
) -> None:
    accept(ledger, EVENT, notes=[], status=status)
    assert indexes(ledger) == {f"type:{EVENT.type}", f"status:{status}"}


def test_a_pruned_event_leaves_every_index(ledger: LedgerHarness) -> None:
    accept(ledger, EVENT, notes=[note("when_error")])
    accept(ledger, OTHER)  # a conflict
    ledger.pass_time(TIMES.keep + SECOND)
    assert ledger.run(ledger.core.prune()) == 2
    assert list(ledger.store.scan_iter("hg:events*")) == []


def test_an_event_that_is_broken_does_not_keep_others_from_being_pruned(
    ledger: LedgerHarness,
) -> None:
    accept(ledger, EVENT)
    accept(ledger, Event("evt_2"))
    ledger.store.hset(f"hg:event:{MEMBER}", "notes", "{")
    ledger.pass_time(TIMES.keep + SECOND)
    assert ledger.run(ledger.core.prune()) == 2


def test_events_of_an_earlier_release_are_listed_afterwards(ledger: LedgerHarness) -> None:
    # Given events of which one was accepted by an earlier release during the deploy
    index = EventIndex(ledger.client, TIMES)
    accept(ledger, EVENT, notes=[])
    before = indexes(ledger)
    assert ledger.run(index.complete(1_000)) == 0
    accept(ledger, Event("evt_2"), draft())
    ledger.store.delete(f"hg:events:type:{EVENT.type}")
    ledger.store.zadd(f"hg:events:type:{EVENT.type}", {MEMBER: 1})

    # When the walk goes on
    listed = [ledger.run(index.complete(1_000)) for _ in range(2)]

    # Then
    assert listed == [1, 0]
    assert before == {f"type:{EVENT.type}", "outcome:no_rule_matched"}
    assert ledger.store.zcard(f"hg:events:type:{EVENT.type}") == 2


@pytest.mark.parametrize(
    "index", ["hg:events", f"hg:events:type:{EVENT.type}", "hg:events:outcome:when_error"]
)
def test_the_doctor_lists_an_event_again(ledger: LedgerHarness, index: str) -> None:
    accept(ledger, EVENT, notes=[note("when_error")])
    # Given that the walk over those of earlier releases has passed it
    ledger.run(EventIndex(ledger.client, TIMES).complete(1_000))
    ledger.store.zrem(index, MEMBER)
    assert_repairable(ledger, (MEMBER, "not indexed", index))


def test_the_doctor_leaves_an_event_of_an_earlier_release_to_the_walk(
    ledger: LedgerHarness,
) -> None:
    accept(ledger, EVENT)
    ledger.store.zrem(f"hg:events:type:{EVENT.type}", MEMBER)
    assert audit(ledger) == []
    assert ledger.run(EventIndex(ledger.client, TIMES).complete(1_000)) == 1


@pytest.mark.parametrize(
    "index", ["hg:events:type:other", "hg:events:status:conflict", "hg:events:outcome:when_false"]
)
def test_the_doctor_removes_an_event_from_a_wrong_index(ledger: LedgerHarness, index: str) -> None:
    accept(ledger, EVENT, draft())
    ledger.store.zadd(index, {MEMBER: 1})
    assert_repairable(ledger, (MEMBER, "wrong index", index))


def test_the_doctor_removes_what_has_no_record(ledger: LedgerHarness) -> None:
    ledger.store.zadd("hg:events:type:order.paid", {MEMBER: 1})
    assert_repairable(ledger, (MEMBER, "no record", "hg:events:type:order.paid"))
