"""Jobs that a caller asks for, and rules run again over an event that is known."""

from __future__ import annotations

import asyncio

from service.jobs.ledger import IDEMPOTENCY_MS
from service.jobs.model import JobDraft, Status
from service.jobs.replies import Creation
from tests.support.ledger import SECOND, Event, LedgerHarness, draft

EVENT = Event("evt_1")


def _create(
    ledger: LedgerHarness,
    job: JobDraft,
    *,
    key: str | None = "k1",
    request: str = "a request",
    caller: str = "shop",
) -> Creation:
    step = ledger.core.create(job, caller=caller, idempotency_key=key, request=request)
    return ledger.run(step)


def test_a_direct_job_says_who_asked_for_it(ledger: LedgerHarness) -> None:
    made = _create(ledger, draft(rule=None))

    assert made.outcome == "created"
    assert ledger.status(made.job_id) is Status.QUEUED
    assert ledger.record(made.job_id).source == {
        "source": None,
        "event_id": None,
        "rule": None,
        "api_key": "shop",
    }
    assert ledger.take_messages() == [made.job_id]


def test_an_idempotency_key_names_one_job(ledger: LedgerHarness) -> None:
    first = _create(ledger, draft(rule=None))

    assert _create(ledger, draft(rule=None)) == Creation("repeated", first.job_id)
    conflict = _create(ledger, draft(rule=None, text="Another"), request="another request")
    assert conflict == Creation("conflict", first.job_id)
    assert ledger.take_messages() == [first.job_id]


def test_idempotency_keys_belong_to_their_caller_and_end(ledger: LedgerHarness) -> None:
    first = _create(ledger, draft(rule=None))
    other = _create(ledger, draft(rule=None), caller="crm")
    assert (other.outcome, other.job_id != first.job_id) == ("created", True)

    ledger.pass_time(IDEMPOTENCY_MS + SECOND)
    later = _create(ledger, draft(rule=None))
    assert (later.outcome, later.job_id != first.job_id) == ("created", True)


def test_concurrent_requests_with_one_key_make_one_job(ledger: LedgerHarness) -> None:
    async def ask_at_once() -> list[Creation]:
        return await asyncio.gather(
            *(
                ledger.core.create(
                    draft(rule=None), caller="shop", idempotency_key="k1", request="a request"
                )
                for _ in range(10)
            )
        )

    made = ledger.run(ask_at_once())

    assert sorted(each.outcome for each in made) == ["created"] + ["repeated"] * 9
    assert len({each.job_id for each in made}) == 1
    assert len(ledger.take_messages()) == 1


def test_without_a_key_every_request_makes_a_job(ledger: LedgerHarness) -> None:
    made = {_create(ledger, draft(rule=None), key=None).job_id for _ in range(3)}

    assert len(made) == 3


def test_a_replay_adds_only_the_jobs_of_rules_that_had_none(ledger: LedgerHarness) -> None:
    first = ledger.accept(EVENT, draft(rule="old"))
    ledger.finish(ledger.claim(first.jobs[0]))
    ledger.take_messages()
    notes = [{"rule": "new", "outcome": "job"}]

    step = ledger.core.replay("stripe", "evt_1", [draft(rule="old"), draft(rule="new")], notes)
    jobs = ledger.run(step) or []

    assert (jobs[0], len(jobs)) == (first.jobs[0], 2)
    assert ledger.status(jobs[0]) is Status.SUCCEEDED
    assert ledger.take_messages() == [jobs[1]]
    [event] = ledger.run(ledger.queries.events_named("evt_1"))
    assert (list(event.jobs), event.notes) == (jobs, notes)


def test_a_replay_of_an_event_without_jobs_keeps_an_empty_list(ledger: LedgerHarness) -> None:
    ledger.accept(EVENT)

    assert ledger.run(ledger.core.replay("stripe", "evt_1", [], [])) == []
    [event] = ledger.run(ledger.queries.events_named("evt_1"))
    assert event.jobs == ()


def test_a_replay_of_an_unknown_event_makes_nothing(ledger: LedgerHarness) -> None:
    assert ledger.run(ledger.core.replay("stripe", "evt_9", [draft()], [])) is None
    assert ledger.store.dbsize() == 0
