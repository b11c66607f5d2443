"""Jobs that a caller asks for, and rules run again over an event that is known."""

from __future__ import annotations

import asyncio

from service.jobs.ledger import IDEMPOTENCY_MS
from service.jobs.model import JobDraft, Status
from service.jobs.replies import Creation
from tests.support.ledgers import SECOND, Books, Event, draft

EVENT = Event("evt_1")


def _create(
    books: Books,
    job: JobDraft,
    *,
    key: str | None = "k1",
    request: str = "a request",
    caller: str = "shop",
) -> Creation:
    step = books.ledger.create(job, caller=caller, idempotency_key=key, request=request)
    return books.run(step)


def test_a_direct_job_says_who_asked_for_it(books: Books) -> None:
    made = _create(books, draft(rule=None))

    assert made.outcome == "created"
    assert books.status(made.job_id) is Status.QUEUED
    assert books.record(made.job_id).source == {
        "source": None,
        "event_id": None,
        "rule": None,
        "api_key": "shop",
    }
    assert books.wakeups() == [made.job_id]


def test_an_idempotency_key_names_one_job(books: Books) -> None:
    first = _create(books, draft(rule=None))

    assert _create(books, draft(rule=None)) == Creation("repeated", first.job_id)
    conflict = _create(books, draft(rule=None, text="Another"), request="another request")
    assert conflict == Creation("conflict", first.job_id)
    assert books.wakeups() == [first.job_id]


def test_idempotency_keys_belong_to_their_caller_and_end(books: Books) -> None:
    first = _create(books, draft(rule=None))
    other = _create(books, draft(rule=None), caller="crm")
    assert (other.outcome, other.job_id != first.job_id) == ("created", True)

    books.pass_time(IDEMPOTENCY_MS + SECOND)
    later = _create(books, draft(rule=None))
    assert (later.outcome, later.job_id != first.job_id) == ("created", True)


def test_concurrent_requests_with_one_key_make_one_job(books: Books) -> None:
    async def ask_at_once() -> list[Creation]:
        return await asyncio.gather(
            *(
                books.ledger.create(
                    draft(rule=None), caller="shop", idempotency_key="k1", request="a request"
                )
                for _ in range(10)
            )
        )

    made = books.run(ask_at_once())

    assert sorted(each.outcome for each in made) == ["created"] + ["repeated"] * 9
    assert len({each.job_id for each in made}) == 1
    assert len(books.wakeups()) == 1


def test_without_a_key_every_request_makes_a_job(books: Books) -> None:
    made = {_create(books, draft(rule=None), key=None).job_id for _ in range(3)}

    assert len(made) == 3


def test_a_replay_adds_only_the_jobs_of_rules_that_had_none(books: Books) -> None:
    first = books.accept(EVENT, draft(rule="old"))
    books.finish(books.claim(first.jobs[0]))
    books.wakeups()
    notes = [{"rule": "new", "outcome": "job"}]

    step = books.ledger.replay("stripe", "evt_1", [draft(rule="old"), draft(rule="new")], notes)
    jobs = books.run(step) or []

    assert (jobs[0], len(jobs)) == (first.jobs[0], 2)
    assert books.status(jobs[0]) is Status.SUCCEEDED
    assert books.wakeups() == [jobs[1]]
    [event] = books.run(books.reader.events_named("evt_1"))
    assert (list(event.jobs), event.notes) == (jobs, notes)


def test_a_replay_of_an_event_without_jobs_keeps_an_empty_list(books: Books) -> None:
    books.accept(EVENT)

    assert books.run(books.ledger.replay("stripe", "evt_1", [], [])) == []
    [event] = books.run(books.reader.events_named("evt_1"))
    assert event.jobs == ()


def test_a_replay_of_an_unknown_event_makes_nothing(books: Books) -> None:
    assert books.run(books.ledger.replay("stripe", "evt_9", [draft()], [])) is None
    assert books.store.dbsize() == 0
