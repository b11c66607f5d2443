"""Consistency checks: rows of follower exports."""

from __future__ import annotations

import pytest

from service.jobs.model import Status
from tests.support.consistency import assert_repairable, assert_unrepairable
from tests.support.follower_rows import add_export, claim_and_append, row, rows, started_export
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import HOUR, TIMES, LedgerHarness


def test_exports_and_lookups_at_any_stage_are_consistent(ledger: LedgerHarness) -> None:
    lookup = add_export(ledger, kind="lookup", account="a")
    started_export(ledger, 2, account="b")
    ledger.claim(started_export(ledger, 1, account="c"))
    ledger.finish(ledger.claim(started_export(ledger, 1, account="d")), Status.FAILED)
    assert (
        claim_and_append(ledger, started_export(ledger, 1, account="e"), [row(999)]) == "succeeded"
    )
    assert ledger.status(lookup) is Status.QUEUED
    assert (diagnosis(ledger), audit(ledger)) == ([], [])


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_rows_without_an_export_are_deleted(ledger: LedgerHarness, name: str) -> None:
    key = f"hg:{name}:job_gone"
    if name == "rows":
        ledger.store.zadd(key, {"0:": 0})
    else:
        ledger.store.sadd(key, "1")
    assert_repairable(ledger, ("job_gone", "no record", key))
    assert not ledger.store.exists(key)


def test_rows_of_an_ended_export_without_expiry_get_one(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    assert claim_and_append(ledger, job_id, rows(200, 210)) == "succeeded"
    key = f"hg:rows:{job_id}"
    ledger.store.persist(key)
    assert_repairable(ledger, (job_id, "never deleted", key))
    assert 0 < ledger.store.pttl(key) <= TIMES.keep_bodies


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_expiring_rows_of_a_running_export_are_kept(ledger: LedgerHarness, name: str) -> None:
    job_id = started_export(ledger, 1)
    key = f"hg:{name}:{job_id}"
    ledger.store.pexpire(key, HOUR)
    assert_repairable(ledger, (job_id, "early expiry", key))
    assert ledger.store.pttl(key) == -1


def test_an_export_with_missing_rows_is_reported(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.store.delete(f"hg:walked:{job_id}")
    assert_unrepairable(ledger, (job_id, "missing rows", f"hg:rows:{job_id}"))


def test_an_export_of_a_newer_release_is_left_alone(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.store.hset(f"hg:job:{job_id}", "v", 4)
    ledger.store.delete(f"hg:walked:{job_id}")
    assert diagnosis(ledger, repair=True) == []
