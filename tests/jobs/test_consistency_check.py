"""Consistency checks: damaged indexes and records are found and repaired."""

from __future__ import annotations

import re
from typing import Final

import pytest

from service.jobs.consistency_problems import PROBLEMS
from service.jobs.job_filter import JobFilter
from service.jobs.model import FINAL, KINDS, Status
from tests.support.consistency import assert_repairable, assert_unrepairable, run_to_end
from tests.support.invariants import ALARMS, diagnosis
from tests.support.job_states import job_in
from tests.support.ledger import DAY, SECOND, TIMES, LedgerHarness
from tests.support.lua import FOLDER

UNFINISHED: Final = [status for status in Status if status not in FINAL]
#: The indexes that list a job; `str.format` fills in its status.
INDEXES: Final = (
    "hg:jobs",
    "hg:jobs:status:{status}",
    "hg:jobs:account:shop",
    "hg:jobs:kind:dm",
)
SUB_QUEUES: Final = ("look", "dm", "dm_new_thread", "dm_unknown", "comment")
MEMBERS: Final = (
    *("hg:jobs", "hg:jobs:status:queued", "hg:jobs:account:shop", "hg:jobs:kind:comment"),
    *(f"hg:acct:shop:line:{sub_queue}" for sub_queue in SUB_QUEUES),
    *(f"hg:acct:shop:held:{kind}" for kind in KINDS),
    *ALARMS,
)


def test_every_problem_that_the_script_reports_is_explained() -> None:
    text = (FOLDER / "check_consistency.lua").read_text()
    reported = set(re.findall(r"'([a-z_]+(?: [a-z_]+)+|orphaned)'", text))
    assert reported == set(PROBLEMS) - {"lost job"}  # which consistency_check.py finds itself


@pytest.mark.parametrize("status", Status)
def test_a_job_in_any_status_is_consistent(ledger: LedgerHarness, status: Status) -> None:
    job_in(ledger, status)
    assert diagnosis(ledger) == []


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("status", Status)
def test_an_unlisted_job_is_listed_again(ledger: LedgerHarness, status: Status, index: str) -> None:
    job_id, index = job_in(ledger, status), index.format(status=status)
    ledger.store.zrem(index, job_id)

    assert_repairable(ledger, (job_id, "not indexed", index))

    shown = ledger.run(ledger.finder.page(JobFilter((status,)), cursor=None, limit=5))
    assert [job["id"] for job in shown.items] == [job_id]
    assert run_to_end(ledger, job_id)


@pytest.mark.parametrize("index", INDEXES)
def test_a_job_with_a_wrong_index_score_is_moved(ledger: LedgerHarness, index: str) -> None:
    job_id, index = job_in(ledger, Status.QUEUED), index.format(status="queued")
    ledger.store.zadd(index, {job_id: 4711})
    assert_repairable(ledger, (job_id, "not indexed", index))


def test_a_job_in_no_index_is_found_and_continues(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.QUEUED)
    for index in ledger.store.scan_iter("hg:*", _type="zset"):
        ledger.store.zrem(index, job_id)
    ledger.take_messages()

    problems = {(defect.id, defect.problem) for defect in diagnosis(ledger, repair=True)}

    assert problems == {(job_id, "not indexed"), (job_id, "orphaned")}
    assert diagnosis(ledger) == []
    assert ledger.take_messages() == [job_id]


@pytest.mark.parametrize("index", MEMBERS)
def test_an_index_entry_without_a_record_is_removed(ledger: LedgerHarness, index: str) -> None:
    ledger.store.zadd(index, {"job_gone": 1})
    found = diagnosis(ledger)
    assert ("job_gone", "no record", index) in {
        (defect.id, defect.problem, defect.where) for defect in found
    }
    diagnosis(ledger, repair=True)
    assert (diagnosis(ledger), ledger.store.zcard(index)) == ([], 0)


@pytest.mark.parametrize(
    "index",
    [
        "hg:jobs:status:queued",
        "hg:jobs:account:studio",
        "hg:jobs:kind:comment",
        *(index for index in MEMBERS if index.startswith("hg:acct") or index in ALARMS),
    ],
)
def test_an_index_that_contradicts_the_record_is_corrected(
    ledger: LedgerHarness, index: str
) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    ledger.store.zadd(index, {job_id: 1})
    assert_repairable(ledger, (job_id, "wrong index", index))


@pytest.mark.parametrize("status", UNFINISHED)
def test_a_missing_text_is_reported_and_an_expiring_one_kept(
    ledger: LedgerHarness, status: Status
) -> None:
    job_id = job_in(ledger, status)
    ledger.store.expire(f"hg:jobtext:{job_id}", 60)
    assert_repairable(ledger, (job_id, "early expiry", f"hg:jobtext:{job_id}"))
    assert ledger.store.ttl(f"hg:jobtext:{job_id}") == -1
    ledger.store.delete(f"hg:jobtext:{job_id}")
    assert_unrepairable(ledger, (job_id, "no text", f"hg:jobtext:{job_id}"))


@pytest.mark.parametrize("field", ["seq", "status", "account", "run_at"])
def test_an_unreadable_record_is_reported_and_unchanged(ledger: LedgerHarness, field: str) -> None:
    job_id = job_in(ledger, Status.SCHEDULED)
    ledger.store.hdel(f"hg:job:{job_id}", field)
    before = ledger.store.hgetall(f"hg:job:{job_id}")
    assert_unrepairable(ledger, (job_id, "broken record", field))
    assert ledger.store.hgetall(f"hg:job:{job_id}") == before


def test_a_key_of_another_type_is_reported_and_the_rest_checked(ledger: LedgerHarness) -> None:
    ledger.store.set("hg:job:job_odd", "?")
    other = job_in(ledger, Status.QUEUED)
    ledger.store.zrem("hg:jobs", other)
    found = {(defect.id, defect.problem) for defect in diagnosis(ledger, repair=True)}
    assert found == {("job_odd", "broken record"), (other, "not indexed")}


def test_records_of_a_newer_release_are_left_alone(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    ledger.store.hset(f"hg:job:{job_id}", mapping={"v": 4, "status": "pondering"})
    assert diagnosis(ledger, repair=True) == []


@pytest.mark.parametrize("status", sorted(FINAL))
def test_records_missing_from_the_retention_index_are_pruned(
    ledger: LedgerHarness, status: Status
) -> None:
    job_id = job_in(ledger, status)
    ledger.store.zrem("hg:retention", job_id)
    ledger.pass_time(DAY)
    assert_repairable(ledger, (job_id, "never pruned", "hg:retention"))
    ledger.pass_time(TIMES.keep - DAY + SECOND)
    ledger.run(ledger.core.prune())
    assert not ledger.store.exists(f"hg:job:{job_id}")


def test_every_page_of_every_index_is_checked(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(1_100, apart=True)
    ledger.store.delete("hg:wakes")
    ledger.store.zadd("hg:due", {f"job_gone_{number}": number for number in range(1_100)})

    found = diagnosis(ledger, repair=True)

    assert {defect.id for defect in found if defect.problem == "orphaned"} == set(jobs)
    assert sum(defect.problem == "no record" for defect in found) == 1_100
    assert diagnosis(ledger) == []
