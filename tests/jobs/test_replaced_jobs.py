"""A replay fills in a job that its rule could not fill in, and no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.accounts.suppressions import Suppressions
from service.jobs.lua.add_event_jobs import AddedJobs
from service.jobs.lua.prune import prune
from service.jobs.model import Failure, JobDraft, Status
from tests.support.invariants import audit, illegal_steps
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, PERSON_KEYS, SECOND, TIMES, Event, LedgerHarness, draft

EVENT = Event("evt_1")
TYPO = Failure("template_failed", "to: nothing is there")
REJECTED = draft(to=None, text="", failure=TYPO)


@pytest.fixture
def job_id(ledger: LedgerHarness) -> str:
    """The job of an event's rule that could not fill it in."""
    return ledger.accept(EVENT, REJECTED).jobs[0]


def replay(ledger: LedgerHarness, *drafts: JobDraft, event: str = "evt_1") -> AddedJobs:
    added = ledger.run(ledger.core.replay("stripe", event, drafts, [], by="api:first"))
    assert added is not None
    return added


def test_the_job_is_filled_in_and_goes_out_in_its_second_run(
    ledger: LedgerHarness, job_id: str
) -> None:
    assert replay(ledger, draft(to="jenny.rosen")) == ([job_id], [], [job_id])

    record = ledger.record(job_id)
    assert (record.run, record.to, record.error) == (2, "jenny.rosen", None)
    entry = ledger.run(ledger.queries.timeline(job_id))[-1]
    assert (entry["status"], entry["by"], entry["why"]) == (
        "queued",
        "api:first",
        "replaced by replay",
    )
    claim = ledger.claim(job_id)
    assert claim.text == "Thank you!"
    assert ledger.record_intent(claim) == "ok"
    assert ledger.finish(claim)
    assert illegal_steps(ledger, job_id) == []
    assert audit(ledger) == []


def test_each_run_has_its_callback(ledger: LedgerHarness, job_id: str) -> None:
    (first,) = ledger.deliveries_of(job_id)
    replay(ledger, draft())
    ledger.finish(ledger.claim_and_send(job_id))
    was, now = ledger.deliveries_of(job_id)
    assert (was["type"], now["type"]) == ("job.failed", "job.succeeded")
    assert was["payload"] == first["payload"]


def test_a_second_replay_changes_nothing(ledger: LedgerHarness, job_id: str) -> None:
    replay(ledger, draft())
    assert replay(ledger, draft(to="somebody.else")) == ([job_id], [], [])
    assert (ledger.record(job_id).run, ledger.record(job_id).to) == (2, "some.handle")


def test_of_two_replays_at_once_one_fills_it_in(ledger: LedgerHarness, job_id: str) -> None:
    async def both() -> list[AddedJobs | None]:
        steps = (ledger.core.replay("stripe", "evt_1", [draft(to=to)], []) for to in ("one", "two"))
        return await asyncio.gather(*steps)

    replaced = [added.replaced for added in ledger.run(both()) if added]
    assert sorted(replaced) == [[], [job_id]]
    assert ledger.record(job_id).run == 2


def test_one_that_still_cannot_be_filled_in_stays_as_it_is(
    ledger: LedgerHarness, job_id: str
) -> None:
    assert replay(ledger, REJECTED) == ([job_id], [], [])
    assert (ledger.status(job_id), ledger.record(job_id).run) == (Status.FAILED, 1)


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.SCHEDULED])
def test_a_job_that_got_further_is_never_replaced(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    before = ledger.store.hgetall(f"hg:job:{job_id}")
    event = ledger.record(job_id).source["event_id"]
    assert replay(ledger, draft(to="jenny.rosen"), event=event) == ([job_id], [], [])
    assert ledger.store.hgetall(f"hg:job:{job_id}") == before


def test_a_filled_in_job_that_fails_is_retried_and_not_replaced(
    ledger: LedgerHarness, job_id: str
) -> None:
    replay(ledger, draft())
    ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    assert replay(ledger, draft(to="jenny.rosen")).replaced == []
    assert ledger.run(ledger.core.retry(job_id, "api:first")) == "ok"
    assert (ledger.record(job_id).run, ledger.record(job_id).to) == (3, "some.handle")


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "studio"},
        {"kind": "comment", "to": None, "post": "CxyZabcDEfg"},
        {"metadata": {"order": 7}},
        {"callback": None},
        {"priority": 9},
        {"dry_run": True},
        {"expires_ms": HOUR},
    ],
)
def test_the_job_is_all_that_the_rule_says_now(
    ledger: LedgerHarness, job_id: str, changes: dict[str, Any]
) -> None:
    replay(ledger, draft(**changes))
    other = ledger.record(ledger.add_job(**changes))
    record = ledger.record(job_id)
    for field in ("kind", "account", "to", "post", "callback", "metadata", "priority", "dry_run"):
        assert getattr(record, field) == getattr(other, field), field
    assert bool(record.expires_ms) == ("expires_ms" in changes)
    assert ledger.run(ledger.core.cancel(job_id, "api:first")) == "ok"


def test_a_delay_of_the_rule_is_kept(ledger: LedgerHarness, job_id: str) -> None:
    replay(ledger, draft(delay_ms=HOUR))
    assert ledger.status(job_id) is Status.SCHEDULED
    assert audit(ledger) == []
    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.QUEUED
    assert illegal_steps(ledger, job_id) == []


def test_nobody_on_the_do_not_contact_list_is_written_to(
    ledger: LedgerHarness, job_id: str
) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put("some.handle", account=None, reason="asked", by="crm"))
    replay(ledger, draft())
    record = ledger.record(job_id)
    assert record.error is not None
    assert (record.status, record.error["code"]) == (Status.FAILED, "recipient_suppressed")
    assert illegal_steps(ledger, job_id) == []
    assert audit(ledger) == []


def test_a_business_key_that_another_event_has_used_makes_no_second_job(
    ledger: LedgerHarness, job_id: str
) -> None:
    (other,) = ledger.accept(Event("evt_2"), draft(once_key="pi_1")).jobs
    assert replay(ledger, draft(once_key="pi_1")) == ([job_id, other], [], [])
    assert ledger.status(job_id) is Status.FAILED


def test_the_business_key_of_a_filled_in_job_is_its_own(ledger: LedgerHarness, job_id: str) -> None:
    replay(ledger, draft(once_key="pi_1"))
    assert ledger.accept(Event("evt_2"), draft(once_key="pi_1")).jobs == [job_id]


def test_all_of_a_filled_in_job_is_pruned(ledger: LedgerHarness, job_id: str) -> None:
    replay(ledger, draft(callback=None))
    ledger.finish(ledger.claim_and_send(job_id))
    for key in ledger.store.scan_iter("hg:dlv:*"):
        ledger.store.hset(key, "status", "delivered")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.scripts.run(prune(50))
    assert [*ledger.store.scan_iter("hg:dlv:*"), *ledger.store.scan_iter("hg:job:*")] == []
    assert [*ledger.store.scan_iter("hg:jobs*")] == []
