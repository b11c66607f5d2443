"""The rows of follower exports in the store: memory, loss, retention."""

from __future__ import annotations

import pytest
from redis.exceptions import OutOfMemoryError

from service.jobs.model import Status
from tests.support.follower_rows import (
    append_page,
    claim_and_append,
    rows,
    started_export,
    stored_rows,
)
from tests.support.invariants import audit
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness
from tests.support.store import out_of_memory


def test_a_page_that_does_not_fit_into_the_store_changes_nothing_and_is_read_later(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    with out_of_memory(ledger.store):
        with pytest.raises(OutOfMemoryError):
            append_page(ledger, claim, rows(200, 400), "2")
        assert ledger.record(job_id).users == 200
        # When the job is released meanwhile
        assert ledger.release(claim, Status.WAITING, after_ms=60 * SECOND, charge="free") == "ok"
        assert ledger.turn() is None
    # Then the page is read again once there is memory
    ledger.pass_time(61 * SECOND)
    ledger.heartbeat()
    assert claim_and_append(ledger, job_id, rows(200, 400), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 400)


@pytest.mark.parametrize("lost", ["rows", "walked"])
def test_an_export_whose_rows_were_lost_fails(ledger: LedgerHarness, lost: str) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    ledger.store.delete(f"hg:{lost}:{job_id}")
    assert append_page(ledger, claim, rows(0, 200), "2") == "failed"
    assert ledger.api_job(job_id)["error"]["code"] == "result_lost"
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "gone"


def test_rows_outlive_the_export_and_pks_only_until_no_retry_is_possible(
    ledger: LedgerHarness,
) -> None:
    done, failed, canceled = (started_export(ledger, 1, account=name) for name in ("a", "b", "c"))
    assert claim_and_append(ledger, done, rows(200, 210)) == "succeeded"
    ledger.finish(ledger.claim(failed), Status.FAILED)
    assert ledger.run(ledger.core.cancel(canceled, "api:test")) == "ok"
    assert _keys(ledger, "rows") == {done, failed, canceled}
    assert _keys(ledger, "walked") == {failed}

    ledger.pass_time(TIMES.keep_bodies + SECOND)

    assert _keys(ledger, "rows") | _keys(ledger, "walked") == set()
    assert ledger.run(ledger.core.retry(failed, "api:test")) == "gone"
    assert audit(ledger) == []


def test_a_retry_keeps_the_rows_while_it_runs(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    ledger.pass_time(TIMES.keep_bodies - HOUR)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    ledger.pass_time(TIMES.keep_bodies)
    assert stored_rows(ledger, job_id) == rows(0, 200)
    assert audit(ledger) == []


def test_pruning_an_export_deletes_its_rows(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    assert claim_and_append(ledger, job_id, rows(200, 210)) == "succeeded"
    # Given rows without an expiry
    ledger.store.persist(f"hg:rows:{job_id}")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert list(ledger.store.scan_iter(f"hg:*{job_id}*")) == []


def _keys(ledger: LedgerHarness, name: str) -> set[str]:
    return {key.decode().rpartition(":")[2] for key in ledger.store.scan_iter(f"hg:{name}:*")}
