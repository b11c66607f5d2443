"""The indexes by which jobs are found have every job, whatever release created or ended it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from service.jobs.job_filter import JobFilter
from service.jobs.job_indexes import JobIndexes
from service.jobs.model import Status
from tests.support.consistency import assert_repairable
from tests.support.invariants import audit
from tests.support.ledger import FAILURE, SECOND, TIMES, LedgerHarness
from tests.support.people import erase

#: The indexes that a release before this one does not write.
ADDED = ("rule", "source", "code", "meta")
METADATA = {"order": 1042, "campaign": "spring"}
FILTERS = {
    "rule": JobFilter(rule="thank-you"),
    "source": JobFilter(source="stripe"),
    "code": JobFilter(code=FAILURE.code),
    "metadata": JobFilter(metadata=(("order", "1042"), ("campaign", "spring"))),
}


def indexes(ledger: LedgerHarness) -> set[str]:
    found = cast("Any", (ledger.store.keys(f"hg:jobs:{name}:*") for name in ADDED))
    return {key.decode().rpartition(":")[0] for keys in found for key in keys}


def forget(ledger: LedgerHarness) -> None:
    """Leave the jobs listed as an older release lists them."""
    keys = cast("Any", [ledger.store.keys(f"hg:jobs:{name}:*") for name in ADDED])
    ledger.store.delete(*(key for each in keys for key in each))


def complete(ledger: LedgerHarness, limit: int = 1_000_000) -> int:
    return ledger.run(JobIndexes(ledger.client, ledger.script_config).complete(limit))


def recheck(ledger: LedgerHarness, limit: int = 1_000_000) -> int:
    return ledger.run(JobIndexes(ledger.client, ledger.script_config).recheck(limit))


def found(ledger: LedgerHarness, job_filter: JobFilter) -> list[str]:
    page = ledger.run(ledger.finder.find(job_filter, cursor=None, limit=50))
    assert page.next is None
    return list(page.ids)


def failed_job(ledger: LedgerHarness) -> str:
    job_id = ledger.add_job(metadata=METADATA)
    step = ledger.claims.finish(ledger.claim(job_id), Status.FAILED, failure=FAILURE)
    assert ledger.run(step)
    return job_id


@pytest.mark.parametrize("name", FILTERS)
def test_jobs_of_an_older_release_are_found_before_they_are_listed_and_after(
    ledger: LedgerHarness, name: str
) -> None:
    job_id = failed_job(ledger)
    forget(ledger)
    assert found(ledger, FILTERS[name]) == [job_id]

    assert complete(ledger) == 5
    assert found(ledger, FILTERS[name]) == [job_id]
    assert audit(ledger) == []

    # And beside jobs that came after the walk, from either release
    later = failed_job(ledger)
    assert found(ledger, FILTERS[name]) == [later, job_id]
    for key in cast("Any", ledger.store.keys("hg:jobs:*")):
        if key.split(b":")[2].decode() in ADDED:
            ledger.store.zrem(key, later)
    assert found(ledger, FILTERS[name]) == [later, job_id]


def test_the_walk_goes_on_where_it_stopped(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(7)
    forget(ledger)

    assert [complete(ledger, 3) for _ in range(4)] == [6, 6, 2, 0]
    assert found(ledger, FILTERS["rule"]) == jobs[::-1]
    assert audit(ledger) == []


def test_a_record_that_is_broken_does_not_stop_the_walk(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(4)
    forget(ledger)
    ledger.store.delete(f"hg:job:{jobs[0]}")
    ledger.store.hdel(f"hg:job:{jobs[1]}", "source", "source:2")
    ledger.store.delete(f"hg:job:{jobs[2]}")
    ledger.store.set(f"hg:job:{jobs[2]}", "no hash")

    assert complete(ledger) == 2
    assert ledger.store.zrange("hg:jobs:rule:thank-you", 0, -1) == [jobs[3].encode()]


def test_an_error_that_an_older_worker_stores_later_is_found_by_the_next_round(
    ledger: LedgerHarness,
) -> None:
    complete(ledger)
    job_id = failed_job(ledger)
    complete(ledger)
    ledger.store.delete(f"hg:jobs:code:{FAILURE.code}")

    assert complete(ledger) == 0
    assert [recheck(ledger) for _ in range(2)] == [1, 0]
    assert found(ledger, FILTERS["code"]) == [job_id]


def test_a_retried_job_is_no_longer_listed_by_its_error(ledger: LedgerHarness) -> None:
    job_id = failed_job(ledger)
    assert found(ledger, FILTERS["code"]) == [job_id]

    assert ledger.run(ledger.core.retry(job_id, "test")) == "ok"

    assert found(ledger, FILTERS["code"]) == []
    assert ledger.store.keys("hg:jobs:code:*") == []


def test_what_an_older_release_has_left_in_an_index_is_not_found(ledger: LedgerHarness) -> None:
    other = ledger.add_job(rule="other")
    complete(ledger)
    for index in ("hg:jobs:rule:thank-you", "hg:jobs:source:paddle", "hg:jobs:code:a"):
        ledger.store.zadd(index, {other: ledger.record(other).seq, "job_pruned": 1})

    for job_filter in (
        JobFilter(rule="thank-you"),
        JobFilter(source="paddle"),
        JobFilter(code="a"),
    ):
        assert found(ledger, job_filter) == []


def test_pruned_jobs_leave_all_indexes(ledger: LedgerHarness) -> None:
    failed_job(ledger)
    assert indexes(ledger) == {f"hg:jobs:{name}" for name in ADDED}

    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())

    assert ledger.store.keys("hg:jobs*") == []


def test_an_erased_job_is_no_longer_listed_by_its_metadata(ledger: LedgerHarness) -> None:
    job_id = failed_job(ledger)

    assert erase(ledger).jobs == 1

    assert found(ledger, FILTERS["metadata"]) == []
    assert found(ledger, FILTERS["code"]) == [job_id]
    assert ledger.store.keys("hg:jobs:meta:*") == []
    assert audit(ledger) == []


def test_the_doctor_adds_what_is_missing_and_removes_what_does_not_belong(
    ledger: LedgerHarness,
) -> None:
    job_id = failed_job(ledger)
    complete(ledger)
    meta = cast("Any", ledger.store.keys("hg:jobs:meta:*"))
    missing = ["hg:jobs:rule:thank-you", "hg:jobs:source:stripe", f"hg:jobs:code:{FAILURE.code}"]
    missing += [key.decode() for key in meta]
    ledger.store.delete(*missing)
    wrong = ["hg:jobs:rule:other", "hg:jobs:code:other", "hg:jobs:meta:00000000000000000000"]
    for index in wrong:
        ledger.store.zadd(index, {job_id: 1})

    assert_repairable(
        ledger,
        *((job_id, "not indexed", index) for index in missing),
        *((job_id, "wrong index", index) for index in wrong),
    )
    assert found(ledger, FILTERS["rule"]) == [job_id]


def test_the_doctor_leaves_to_the_walk_what_that_has_not_come_to(ledger: LedgerHarness) -> None:
    failed_job(ledger)
    forget(ledger)
    assert not [each for each in audit(ledger) if "not indexed" in each]

    complete(ledger)
    assert audit(ledger) == []


def test_a_clock_that_was_set_back_hides_no_job(ledger: LedgerHarness) -> None:
    # Given jobs of which the second half was created by a clock that is two hours behind
    before = ledger.add_jobs(10)
    after = ledger.add_jobs(10)
    for place, job_id in enumerate((*before, *after)):
        created = 1_800_000_000_000 + place * 60_000 - (7_200_000 if job_id in after else 0)
        ledger.store.hset(f"hg:job:{job_id}", "created", created)
    ledger.store.hset("hg:clock", mapping={"was": 1_800_000_000_000, "by": 7_200_000})

    def within(since: int, until: int) -> list[str]:
        return found(ledger, JobFilter(created_since_ms=since, created_until_ms=until))

    assert within(1_800_000_000_000, 1_800_000_540_001) == before[::-1]
    assert within(1_799_993_400_000, 1_799_994_000_000) == after[::-1]
    assert within(1_700_000_000_000, 1_900_000_000_000) == [*after[::-1], *before[::-1]]
