"""Jobs created through the API, and replays of known events."""

from __future__ import annotations

import asyncio

from service.jobs.api_creation import IDEMPOTENCY_MS
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


def test_an_api_job_names_its_caller(ledger: LedgerHarness) -> None:
    created = _create(ledger, draft(rule=None))

    assert created.outcome == "created"
    assert ledger.status(created.job_id) is Status.QUEUED
    assert ledger.record(created.job_id).source == {
        "source": None,
        "event_id": None,
        "rule": None,
        "api_key": "shop",
    }
    assert ledger.take_messages() == [created.job_id]


def test_an_idempotency_key_creates_one_job(ledger: LedgerHarness) -> None:
    first = _create(ledger, draft(rule=None))

    assert _create(ledger, draft(rule=None)) == Creation("repeated", first.job_id)
    conflict = _create(ledger, draft(rule=None, text="Another"), request="another request")
    assert conflict == Creation("conflict", first.job_id)
    assert ledger.take_messages() == [first.job_id]


def test_idempotency_keys_are_per_caller_and_expire(ledger: LedgerHarness) -> None:
    first = _create(ledger, draft(rule=None))
    other = _create(ledger, draft(rule=None), caller="crm")
    assert (other.outcome, other.job_id != first.job_id) == ("created", True)

    ledger.pass_time(IDEMPOTENCY_MS + SECOND)
    later = _create(ledger, draft(rule=None))
    assert (later.outcome, later.job_id != first.job_id) == ("created", True)


def test_concurrent_requests_with_one_key_create_one_job(ledger: LedgerHarness) -> None:
    async def create_at_once() -> list[Creation]:
        return await asyncio.gather(
            *(
                ledger.core.create(
                    draft(rule=None), caller="shop", idempotency_key="k1", request="a request"
                )
                for _ in range(10)
            )
        )

    created = ledger.run(create_at_once())

    assert sorted(creation.outcome for creation in created) == ["created"] + ["repeated"] * 9
    assert len({creation.job_id for creation in created}) == 1
    assert len(ledger.take_messages()) == 1


def test_without_a_key_every_request_creates_a_job(ledger: LedgerHarness) -> None:
    created = {_create(ledger, draft(rule=None), key=None).job_id for _ in range(3)}

    assert len(created) == 3


def test_a_replay_adds_only_jobs_of_rules_without_one(ledger: LedgerHarness) -> None:
    first = ledger.accept(EVENT, draft(rule="old"))
    ledger.finish(ledger.claim(first.jobs[0]))
    ledger.take_messages()
    notes = [{"rule": "new", "outcome": "job"}]

    step = ledger.core.replay("stripe", "evt_1", [draft(rule="old"), draft(rule="new")], notes)
    added = ledger.run(step)
    assert added is not None
    jobs = added.jobs

    assert (added.created, added.replaced) == ([jobs[1]], [])
    assert (jobs[0], len(jobs)) == (first.jobs[0], 2)
    assert ledger.status(jobs[0]) is Status.SUCCEEDED
    assert ledger.take_messages() == [jobs[1]]
    [event] = ledger.run(ledger.queries.events_with_id("evt_1"))
    assert (list(event.jobs), event.notes) == (jobs, notes)


def test_replaying_an_event_without_jobs_returns_an_empty_list(ledger: LedgerHarness) -> None:
    ledger.accept(EVENT)

    assert ledger.run(ledger.core.replay("stripe", "evt_1", [], [])) == ([], [], [])
    [event] = ledger.run(ledger.queries.events_with_id("evt_1"))
    assert event.jobs == ()


def test_replaying_an_unknown_event_creates_nothing(ledger: LedgerHarness) -> None:
    assert ledger.run(ledger.core.replay("stripe", "evt_9", [draft()], [])) is None
    assert ledger.store.dbsize() == 0
