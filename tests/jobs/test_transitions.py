"""The scripts allow what the table of states allows, and nothing else, from every state."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from service.jobs.claims import Claim
from service.jobs.model import FINAL, TRANSITIONS, Status
from tests.support.invariants import audit, illegal_steps
from tests.support.job_stages import job_in
from tests.support.ledgers import FAILURE, HOUR, Books
from tests.support.lua import evaluate

UNENDED: Final = [status for status in Status if status not in FINAL]
PAIRS: Final = list(itertools.product(Status, Status))


def _forced_claim(books: Books, job_id: str) -> Claim:
    """A claim that the ledger takes for its holder's, whatever the job's state."""
    record = books.record(job_id)
    books.store.hset(f"hg:job:{job_id}", "owner", "forced")
    return Claim(record, "", "forced", record.fence, 0)


def test_the_scripts_hold_the_table_of_the_model(books: Books) -> None:
    ask = "ALLOWED[ARGV[1]][ARGV[2]] == true"

    for origin, target in PAIRS:
        said = bool(evaluate(books.store, ask, str(origin), str(target)))
        assert said == (target in TRANSITIONS[origin]), (origin, target)


def test_every_final_state_stays_and_only_failed_and_uncertain_open_again() -> None:
    for status in FINAL:
        reopened = {Status.QUEUED} if status in (Status.FAILED, Status.UNCERTAIN) else set()
        assert TRANSITIONS[status] == reopened


@pytest.mark.parametrize("origin", Status)
def test_finish_ends_a_job_only_where_the_table_lets_it(books: Books, origin: Status) -> None:
    for target in Status:
        job_id = job_in(books, origin, account=f"to-{target}")
        before = books.record(job_id)
        claim = _forced_claim(books, job_id)

        ended = books.finish(claim, target)

        assert ended == (target in TRANSITIONS[origin] and target in FINAL), (origin, target)
        assert books.status(job_id) is (target if ended else origin)
        if not ended:
            assert books.record(job_id) == before


@pytest.mark.parametrize("origin", Status)
def test_release_parks_only_what_runs_and_never_ends_it(books: Books, origin: Status) -> None:
    for target in Status:
        job_id = job_in(books, origin, account=f"to-{target}")
        before = books.record(job_id)
        claim = _forced_claim(books, job_id)

        reply = books.release(claim, target, after_ms=HOUR)

        parked = target in (Status.QUEUED, Status.WAITING, Status.HELD)
        if origin is Status.RUNNING:
            expected = parked
        else:
            expected = origin is Status.SENDING and (parked or target is Status.SENDING)
        assert (reply == "ok") == expected, (origin, target, reply)
        assert books.status(job_id) is (target if expected else origin)
        if not expected:
            assert books.record(job_id) == before


@pytest.mark.parametrize("origin", Status)
def test_an_intent_needs_a_running_job(books: Books, origin: Status) -> None:
    job_id = job_in(books, origin)
    claim = _forced_claim(books, job_id)

    reply = books.intend(claim)

    assert reply == ("ok" if origin is Status.RUNNING else "lost")
    assert books.status(job_id) is (Status.SENDING if reply == "ok" else origin)


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
def test_cancel_ends_what_has_written_nothing(books: Books, origin: Status, reply: str) -> None:
    job_id = job_in(books, origin)

    assert books.run(books.ledger.cancel(job_id, "api:test")) == reply

    now = Status.CANCELED if reply == "ok" else origin
    assert books.status(job_id) is now
    assert books.record(job_id).cancel_asked == (reply == "asked")
    assert len(books.owed(job_id)) == (1 if now in FINAL else 0)


@pytest.mark.parametrize("origin", Status)
def test_retry_opens_only_failed_and_uncertain_jobs(books: Books, origin: Status) -> None:
    job_id = job_in(books, origin)
    opens = origin in (Status.FAILED, Status.UNCERTAIN)

    assert books.run(books.ledger.retry(job_id, "api:test")) == ("ok" if opens else "refused")

    assert books.status(job_id) is (Status.QUEUED if opens else origin)
    assert books.record(job_id).run == (2 if opens else 1)


@pytest.mark.parametrize("origin", Status)
def test_only_a_queued_job_can_be_claimed_anew(books: Books, origin: Status) -> None:
    job_id = job_in(books, origin)

    claim = books.try_claim(job_id, "another worker")

    assert (claim is not None) == (origin is Status.QUEUED)
    assert books.status(job_id) is (Status.RUNNING if claim else origin)


@pytest.mark.parametrize("origin", Status)
@pytest.mark.parametrize("expires_ms", [None, HOUR // 2])
def test_whatever_time_does_to_a_job_is_in_the_table(
    books: Books, origin: Status, expires_ms: int | None
) -> None:
    changes: dict[str, Any] = {} if origin is Status.EXPIRED else {"expires_ms": expires_ms}
    job_id = job_in(books, origin, **changes)

    for _ in range(4):
        books.pass_time(HOUR)
        books.tick()
        books.try_claim(job_id)
        assert audit(books) == []

    assert illegal_steps(books, job_id) == []
    if origin in FINAL:
        assert books.status(job_id) is origin
    elif expires_ms is not None and origin is not Status.SENDING:
        assert books.status(job_id) is Status.EXPIRED


@pytest.mark.parametrize("origin", UNENDED)
@pytest.mark.parametrize("step", ["intend", "finish", "release"])
def test_an_older_claim_changes_nothing_in_any_state(
    books: Books, origin: Status, step: str
) -> None:
    job_id = job_in(books, origin)
    claim = _forced_claim(books, job_id)
    stale = replace(claim, fence=claim.fence - 1)
    steps: dict[str, Callable[[], object]] = {
        "intend": lambda: books.intend(stale) == "lost",
        "finish": lambda: not books.finish(stale, Status.FAILED),
        "release": lambda: books.release(stale, Status.QUEUED) == "lost",
    }
    before: Any = books.store.hgetall(f"hg:job:{job_id}")

    assert steps[step]()

    assert books.store.hgetall(f"hg:job:{job_id}") == before
    assert FAILURE.code not in str(before)
