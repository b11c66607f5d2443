"""The scripts allow exactly the transitions of the model's table, from every status."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from service.jobs.claims import Claim
from service.jobs.model import FINAL, TRANSITIONS, Status
from tests.support.invariants import audit, illegal_steps
from tests.support.job_states import job_in
from tests.support.ledger import FAILURE, HOUR, LedgerHarness
from tests.support.lua import evaluate

UNFINISHED: Final = [status for status in Status if status not in FINAL]
#: Where a retry, a replay, or a person who settles it, takes a job that has ended.
_LEFT_BY_PEOPLE: Final = {
    Status.FAILED: {Status.QUEUED, Status.SCHEDULED},
    Status.UNCERTAIN: {Status.QUEUED, Status.SUCCEEDED, Status.FAILED},
}
PAIRS: Final = list(itertools.product(Status, Status))


def _forced_claim(ledger: LedgerHarness, job_id: str) -> Claim:
    """A claim that the ledger accepts as valid, whatever the job's status."""
    record = ledger.record(job_id)
    ledger.store.hset(f"hg:job:{job_id}", "owner", "forced")
    return Claim(record, "", "forced", record.fence, 0)


def test_the_scripts_contain_the_models_transition_table(ledger: LedgerHarness) -> None:
    expression = "ALLOWED[ARGV[1]][ARGV[2]] == true"

    for origin, target in PAIRS:
        allowed = bool(evaluate(ledger.store, expression, str(origin), str(target)))
        assert allowed == (target in TRANSITIONS[origin]), (origin, target)


def test_final_statuses_are_final_except_failed_and_uncertain() -> None:
    for status in FINAL:
        assert TRANSITIONS[status] == _LEFT_BY_PEOPLE.get(status, set())


@pytest.mark.parametrize("origin", Status)
def test_finish_ends_a_job_only_where_the_table_allows_it(
    ledger: LedgerHarness, origin: Status
) -> None:
    for target in Status:
        job_id = job_in(ledger, origin, account=f"to-{target}")
        before = ledger.record(job_id)
        claim = _forced_claim(ledger, job_id)

        ended = ledger.finish(claim, target)

        assert ended == (target in TRANSITIONS[origin] and target in FINAL), (origin, target)
        assert ledger.status(job_id) is (target if ended else origin)
        if not ended:
            assert ledger.record(job_id) == before


@pytest.mark.parametrize("origin", Status)
def test_release_accepts_only_claimed_jobs_and_never_ends_them(
    ledger: LedgerHarness, origin: Status
) -> None:
    for target in Status:
        job_id = job_in(ledger, origin, account=f"to-{target}")
        before = ledger.record(job_id)
        claim = _forced_claim(ledger, job_id)

        reply = ledger.release(claim, target, after_ms=HOUR)

        releasable = target in (Status.QUEUED, Status.WAITING, Status.HELD)
        if origin is Status.RUNNING:
            expected = releasable
        else:
            expected = origin is Status.SENDING and (releasable or target is Status.SENDING)
        assert (reply == "ok") == expected, (origin, target, reply)
        assert ledger.status(job_id) is (target if expected else origin)
        if not expected:
            assert ledger.record(job_id) == before


@pytest.mark.parametrize("origin", Status)
def test_an_intent_needs_a_running_job(ledger: LedgerHarness, origin: Status) -> None:
    job_id = job_in(ledger, origin)
    claim = _forced_claim(ledger, job_id)

    reply = ledger.record_intent(claim)

    assert reply == ("ok" if origin is Status.RUNNING else "lost")
    assert ledger.status(job_id) is (Status.SENDING if reply == "ok" else origin)


@pytest.mark.parametrize(
    ("origin", "reply"),
    [
        (Status.SCHEDULED, "ok"),
        (Status.QUEUED, "ok"),
        (Status.WAITING, "ok"),
        (Status.HELD, "ok"),
        (Status.RUNNING, "asked"),
        (Status.SENDING, "late"),
        (Status.SUCCEEDED, "late"),
        (Status.FAILED, "late"),
        (Status.CANCELED, "ok"),
        (Status.EXPIRED, "late"),
        (Status.UNCERTAIN, "late"),
    ],
)
def test_cancel_ends_jobs_that_have_written_nothing(
    ledger: LedgerHarness, origin: Status, reply: str
) -> None:
    job_id = job_in(ledger, origin)

    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == reply

    now = Status.CANCELED if reply == "ok" else origin
    assert ledger.status(job_id) is now
    assert ledger.record(job_id).cancel_requested == (reply == "asked")
    assert len(ledger.deliveries_of(job_id)) == (1 if now in FINAL else 0)


@pytest.mark.parametrize("origin", Status)
def test_retry_accepts_only_failed_and_uncertain_jobs(
    ledger: LedgerHarness, origin: Status
) -> None:
    job_id = job_in(ledger, origin)
    opens = origin in (Status.FAILED, Status.UNCERTAIN)

    assert ledger.run(ledger.core.retry(job_id, "api:test")) == ("ok" if opens else "refused")

    assert ledger.status(job_id) is (Status.QUEUED if opens else origin)
    assert ledger.record(job_id).run == (2 if opens else 1)


@pytest.mark.parametrize("origin", Status)
def test_settle_accepts_only_uncertain_jobs(ledger: LedgerHarness, origin: Status) -> None:
    job_id = job_in(ledger, origin)
    settles = origin is Status.UNCERTAIN

    reply = ledger.run(ledger.core.settle(job_id, "sent", "api:test", note=None))

    assert reply == ("ok" if settles else "refused")
    assert ledger.status(job_id) is (Status.SUCCEEDED if settles else origin)
    assert ledger.record(job_id).run == (2 if settles else 1)
    assert audit(ledger) == []


@pytest.mark.parametrize("origin", Status)
def test_only_a_queued_job_can_be_claimed(ledger: LedgerHarness, origin: Status) -> None:
    job_id = job_in(ledger, origin)

    claim = ledger.try_claim(job_id, "another worker")

    assert (claim is not None) == (origin is Status.QUEUED)
    assert ledger.status(job_id) is (Status.RUNNING if claim else origin)


@pytest.mark.parametrize("origin", Status)
@pytest.mark.parametrize("expires_ms", [None, HOUR // 2])
def test_every_transition_caused_by_time_is_in_the_table(
    ledger: LedgerHarness, origin: Status, expires_ms: int | None
) -> None:
    changes: dict[str, Any] = {} if origin is Status.EXPIRED else {"expires_ms": expires_ms}
    job_id = job_in(ledger, origin, **changes)

    for _ in range(4):
        ledger.pass_time(HOUR)
        ledger.heartbeat()
        ledger.try_claim(job_id)
        assert audit(ledger) == []

    assert illegal_steps(ledger, job_id) == []
    if origin in FINAL:
        assert ledger.status(job_id) is origin
    elif expires_ms is not None and origin is not Status.SENDING:
        assert ledger.status(job_id) is Status.EXPIRED


@pytest.mark.parametrize("origin", UNFINISHED)
@pytest.mark.parametrize("step", ["record_intent", "finish", "release"])
def test_an_older_claim_changes_nothing_in_any_status(
    ledger: LedgerHarness, origin: Status, step: str
) -> None:
    job_id = job_in(ledger, origin)
    claim = _forced_claim(ledger, job_id)
    stale = replace(claim, fence=claim.fence - 1)
    steps: dict[str, Callable[[], object]] = {
        "record_intent": lambda: ledger.record_intent(stale) == "lost",
        "finish": lambda: not ledger.finish(stale, Status.FAILED),
        "release": lambda: ledger.release(stale, Status.QUEUED) == "lost",
    }
    before: Any = ledger.store.hgetall(f"hg:job:{job_id}")

    assert steps[step]()

    assert ledger.store.hgetall(f"hg:job:{job_id}") == before
    assert FAILURE.code not in str(before)
