"""The examination: what walks have found is somebody's, stays while it must, and no longer."""

from __future__ import annotations

import pytest

from service.jobs.model import Status
from tests.support.consistency import assert_repairable, assert_unrepairable
from tests.support.follower_rows import add_export, claim_and_append, row, rows, started_export
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import HOUR, TIMES, LedgerHarness


def test_walks_and_look_ups_at_any_stage_are_sound(ledger: LedgerHarness) -> None:
    look_up = add_export(ledger, kind="lookup", account="a")
    started_export(ledger, 2, account="b")
    ledger.claim(started_export(ledger, 1, account="c"))
    ledger.finish(ledger.claim(started_export(ledger, 1, account="d")), Status.FAILED)
    assert (
        claim_and_append(ledger, started_export(ledger, 1, account="e"), [row(999)]) == "succeeded"
    )
    assert ledger.status(look_up) is Status.QUEUED
    assert (diagnosis(ledger), audit(ledger)) == ([], [])


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_what_nobody_has_found_is_taken_away(ledger: LedgerHarness, name: str) -> None:
    key = f"hg:{name}:job_gone"
    if name == "rows":
        ledger.store.zadd(key, {"0:": 0})
    else:
        ledger.store.sadd(key, "1")
    assert_repairable(ledger, ("job_gone", "no record", key))
    assert not ledger.store.exists(key)


def test_rows_of_an_ended_walk_that_would_stay_for_ever_are_forgotten_in_time(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    assert claim_and_append(ledger, job_id, rows(200, 210)) == "succeeded"
    key = f"hg:rows:{job_id}"
    ledger.store.persist(key)
    assert_repairable(ledger, (job_id, "kept for ever", key))
    assert 0 < ledger.store.pttl(key) <= TIMES.keep_bodies


@pytest.mark.parametrize("name", ["rows", "walked"])
def test_what_is_to_vanish_before_a_walk_has_ended_is_kept(
    ledger: LedgerHarness, name: str
) -> None:
    job_id = started_export(ledger, 1)
    key = f"hg:{name}:{job_id}"
    ledger.store.pexpire(key, HOUR)
    assert_repairable(ledger, (job_id, "fading text", key))
    assert ledger.store.pttl(key) == -1


def test_a_walk_that_cannot_go_on_is_told_of(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.store.delete(f"hg:walked:{job_id}")
    assert_unrepairable(ledger, (job_id, "rows lost", f"hg:rows:{job_id}"))


def test_a_walk_of_a_newer_release_is_left_to_it(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.store.hset(f"hg:job:{job_id}", "v", 3)
    ledger.store.delete(f"hg:walked:{job_id}")
    assert diagnosis(ledger, repair=True) == []
