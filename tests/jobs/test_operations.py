"""Operations go on whoever dies, and do each job once."""

from __future__ import annotations

import json

import pytest

from service.jobs.audit_log import Requester
from service.jobs.lua.advance_operation import advance_operation
from service.jobs.lua.advance_replay import ReplayedEvent, advance_replay
from service.jobs.model import Status
from service.operations.store import Operations, Request
from tests.support.encryption import SECRET_KEY
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import SECOND, TIMES, Event, LedgerHarness, draft

PERSON = Requester("api:first", "203.0.113.7")
RETRY = Request("retry", {"account": "shop"})


@pytest.fixture
def operations(ledger: LedgerHarness) -> Operations:
    return Operations(ledger.client, ledger.script_config, (SECRET_KEY,))


def begin(ledger: LedgerHarness, operations: Operations, ids: list[str]) -> str:
    """Plan a retry of these jobs and confirm it."""
    token = ledger.run(operations.plan(RETRY, PERSON, ids)).token
    assert ledger.run(operations.start(token, RETRY, PERSON, "")) == "started"
    return token


def messages(ledger: LedgerHarness) -> list[str]:
    return ledger.take_messages("calendar")


def test_a_step_does_each_job_once_and_the_next_goes_on_from_there(
    ledger: LedgerHarness, operations: Operations
) -> None:
    ids = [job_in(ledger, Status.FAILED) for _ in range(5)]
    operation_id = begin(ledger, operations, ids)

    left = [ledger.scripts.run(advance_operation(operation_id, 2)) for _ in range(4)]

    assert left == [3, 1, 0, 0]
    assert {ledger.record(job_id).run for job_id in ids} == {2}
    results = ledger.run(operations.results(operation_id, cursor=None, limit=50)).items
    assert [each["job_id"] for each in results] == ids
    assert audit(ledger) == []


def test_whoever_confirms_wakes_a_worker_at_once(
    ledger: LedgerHarness, operations: Operations
) -> None:
    operation_id = begin(ledger, operations, [job_in(ledger, Status.FAILED)])
    assert messages(ledger) == [operation_id]


def test_a_heartbeat_wakes_another_worker_for_what_one_has_left(
    ledger: LedgerHarness, operations: Operations
) -> None:
    # Given an operation whose worker has died after a step
    ids = [job_in(ledger, Status.FAILED) for _ in range(3)]
    operation_id = begin(ledger, operations, ids)
    assert ledger.scripts.run(advance_operation(operation_id, 1)) == 2
    messages(ledger)
    # When less than a lease has passed, nobody is woken
    ledger.heartbeat()
    assert messages(ledger) == []
    # When a lease has passed, one worker is
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    ledger.heartbeat()
    assert messages(ledger) == [operation_id]
    # When that one loses the message, too, another is woken a lease later
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert messages(ledger) == [operation_id]
    # When it has ended, nobody is
    assert ledger.scripts.run(advance_operation(operation_id, 5)) == 0
    ledger.pass_time(2 * TIMES.lease)
    ledger.heartbeat()
    assert messages(ledger) == []
    assert {ledger.record(job_id).run for job_id in ids} == {2}


def test_several_abandoned_operations_all_go_on(
    ledger: LedgerHarness, operations: Operations
) -> None:
    begun = {begin(ledger, operations, [job_in(ledger, Status.FAILED)]) for _ in range(3)}
    messages(ledger)
    ledger.pass_time(TIMES.lease)
    for _ in range(4):
        ledger.heartbeat()
    assert set(messages(ledger)) == begun


def test_a_damaged_job_is_a_problem_of_its_own(
    ledger: LedgerHarness, operations: Operations
) -> None:
    damaged, good = job_in(ledger, Status.FAILED), job_in(ledger, Status.FAILED)
    ledger.store.delete(f"hg:job:{damaged}")
    ledger.store.set(f"hg:job:{damaged}", "damaged")
    operation_id = begin(ledger, operations, [damaged, "job_gone", good])

    assert ledger.scripts.run(advance_operation(operation_id, 10)) == 0

    shown = ledger.run(operations.show(operation_id))
    assert shown is not None
    assert shown["results"] == {"internal_error": 1, "retried": 1, "unknown_job": 1}
    assert [each["job_id"] for each in shown["problems"]] == [damaged, "job_gone"]
    assert ledger.record(good).run == 2


def test_the_first_ten_problems_are_shown(ledger: LedgerHarness, operations: Operations) -> None:
    ids = [f"job_{number}" for number in range(25)]
    operation_id = begin(ledger, operations, ids)
    while ledger.scripts.run(advance_operation(operation_id, 4)):
        pass
    shown = ledger.run(operations.show(operation_id))
    assert shown is not None
    assert [each["job_id"] for each in shown["problems"]] == ids[:10]


def test_an_operation_that_a_newer_release_has_written_is_left_to_it(
    ledger: LedgerHarness, operations: Operations
) -> None:
    job_id = job_in(ledger, Status.FAILED)
    operation_id = begin(ledger, operations, [job_id])
    ledger.store.hset(f"hg:op:{operation_id}", "v", "99")
    assert ledger.scripts.run(advance_operation(operation_id, 10)) == 0
    assert ledger.run(operations.cancel(operation_id, PERSON)) == "newer"
    assert ledger.status(job_id) is Status.FAILED


def test_an_ended_operation_is_kept_as_long_as_jobs_and_leaves_its_list(
    ledger: LedgerHarness, operations: Operations
) -> None:
    old = begin(ledger, operations, [job_in(ledger, Status.FAILED)])
    running = begin(ledger, operations, [job_in(ledger, Status.FAILED)])
    ledger.scripts.run(advance_operation(old, 10))
    keys = [f"hg:{name}:{old}" for name in ("op", "opitems", "opresults")]
    assert all(TIMES.keep - 10 * SECOND < int(ledger.store.pttl(key)) <= TIMES.keep for key in keys)
    assert [ledger.store.ttl(f"hg:op:{running}"), ledger.store.ttl(f"hg:opitems:{running}")] == [
        -1,
        -1,
    ]
    # When its time is over, it is shown no more, and its entry goes when another is begun
    ledger.store.delete(*keys)
    assert [each["id"] for each in ledger.run(operations.page(cursor=None, limit=10)).items] == [
        running
    ]
    newest = begin(ledger, operations, ["job_none"])
    assert ledger.store.zrange("hg:ops", 0, -1) == [running.encode(), newest.encode()]


def test_what_a_filter_says_of_persons_is_not_kept(
    ledger: LedgerHarness, operations: Operations
) -> None:
    request = Request("cancel", {"to": "jenny.rosen", "metadata": {"mail": "jenny@example.com"}})
    token = ledger.run(operations.plan(request, PERSON, ["job_1"])).token
    assert ledger.run(operations.start(token, request, PERSON, "")) == "started"
    everything = b"".join(
        ledger.store.dump(key) or b"" for key in ledger.store.scan_iter(f"hg:op*{token}")
    )
    assert b"jenny" not in everything
    shown = ledger.run(operations.show(token))
    assert shown is not None
    assert shown["filter"] == {"to": "(not kept)", "metadata": "(not kept)"}


def test_an_event_that_fails_half_way_keeps_its_jobs_and_gives_the_next_none(
    ledger: LedgerHarness, operations: Operations
) -> None:
    # Given a replay of two events whose worker has died within the first
    for event_id in ("evt_1", "evt_2"):
        ledger.accept(Event(event_id))
    request = Request("replay", {})
    events = ["stripe:evt_1", "stripe:evt_2"]
    token = ledger.run(operations.plan(request, PERSON, events)).token
    ledger.run(operations.start(token, request, PERSON, ""))
    prepared = ledger.run(ledger.core.prepare_replay("stripe", "evt_1", [draft()], by="api:first"))
    (some,) = prepared.slices
    part = ReplayedEvent(
        prepared.event, some.entries, "[]", "unchanged", 0, 0, prepared.reference, "{}"
    )
    ledger.scripts.run(advance_replay(token, 0, part))
    # When the next one cannot read the rest of it
    gone = ReplayedEvent(events[0], "", "", "body_gone", 1, 1, "", "")
    unchanged = ReplayedEvent(events[1], "[]", "[]", "unchanged", 0, 1, prepared.reference, "{}")
    progress = ledger.scripts.run(advance_replay(token, 0, gone, unchanged))
    # Then each has what is its own
    assert progress == (0, 2)
    items = ledger.run(operations.results(token, cursor=None, limit=50)).items
    jobs = json.loads(ledger.store.hget("hg:event:stripe:evt_1", "jobs") or "[]")
    assert [(each["outcome"], each["jobs"]) for each in items] == [
        ("body_gone", jobs),
        ("unchanged", []),
    ]
    assert len(jobs) == 1


@pytest.mark.parametrize(
    ("statuses", "outcome", "run"),
    [
        ([], "became_uncertain", 1),
        (["failed"], "became_uncertain", 1),
        (["uncertain"], "retried", 2),
    ],
)
def test_a_job_that_became_uncertain_after_the_plan_is_retried_only_if_that_was_asked_for(
    ledger: LedgerHarness, operations: Operations, statuses: list[str], outcome: str, run: int
) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    request = Request("retry", {"status": statuses})
    token = ledger.run(operations.plan(request, PERSON, [job_id])).token
    ledger.run(operations.start(token, request, PERSON, ""))

    assert ledger.run(operations.advance(token)) == 0

    (item,) = ledger.run(operations.results(token, cursor=None, limit=50)).items
    assert (item["outcome"], ledger.record(job_id).run) == (outcome, run)
