"""Records that 0.1.0 wrote are shown with the words of today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.jobs.audit_filter import AuditFilter
from service.jobs.audit_log import AuditLog
from service.jobs.model import Status
from service.live.event_stream import JobEventStream
from tests.support.job_states import job_in
from tests.support.ledger import LedgerHarness

BY = [
    ("accept", "intake"),
    ("line", "account_queue"),
    ("look", "lookup"),
    ("pulse", "heartbeat"),
    ("sweep", "rescue"),
    ("claim", "claim"),
    ("boot", "boot"),
    ("doctor", "doctor"),
    ("api:sweep", "api:sweep"),
]
WHY = [
    ("look-up", "verification lookup"),
    ("found by look-up", "found by verification lookup"),
    ("lease lapsed", "lease expired"),
    ("born failed", "rejected at creation"),
    ("nothing led to it", "orphaned"),
    ("its turn", "turn granted"),
    ("asked to", "requested"),
    ("begun too often", "too many attempts"),
    ("cannot be known", "outcome unknown"),
    ("handed back", "interrupted"),
    ("another account looks", "moved to another account"),
    ("walk_stuck", "pagination_loop"),
    ("photo_not_taken", "photo_processing_failed"),
    ("intent", "intent"),
    ("turn", "turn"),
]
OLD_ERROR = {"code": "walk_stuck", "message": "as it was", "retryable": True}
NEW_ERROR = OLD_ERROR | {"code": "pagination_loop"}


def _entry_of(ledger: LedgerHarness, by: str, why: str) -> dict[str, Any]:
    """A timeline entry of 0.1.0 as the API shows it."""
    job_id = ledger.add_job()
    ledger.store.rpush(f"hg:jobtl:{job_id}", f"1795170408509\tsending\t{by}\t{why}")
    last: dict[str, Any] = ledger.run(ledger.queries.timeline(job_id))[-1]
    return last


@pytest.mark.parametrize(("stored", "public"), BY)
def test_a_timeline_names_who_by_the_word_of_today(
    ledger: LedgerHarness, stored: str, public: str
) -> None:
    assert _entry_of(ledger, stored, "")["by"] == public


@pytest.mark.parametrize(("stored", "public"), WHY)
def test_a_timeline_gives_the_reason_in_the_words_of_today(
    ledger: LedgerHarness, stored: str, public: str
) -> None:
    assert _entry_of(ledger, "vm:1:2:3", stored)["why"] == public


def test_a_live_update_has_the_words_of_today(ledger: LedgerHarness) -> None:
    fields: dict[Any, Any] = {"job": "job_x", "at": "1795170408509", "n": "3", "to": "failed"}
    old = {"by": "sweep", "why": "walk_stuck", "result": "", "error": json.dumps(OLD_ERROR)}
    ledger.store.xadd("hg:feed", fields | old)

    [(_, entry)] = ledger.run(JobEventStream(ledger.client).read_after("0-0", 1))

    assert entry is not None
    update = json.loads(entry.data)
    assert (update["by"], update["why"]) == ("rescue", "pagination_loop")
    assert update["error"] == NEW_ERROR


def test_a_jobs_error_and_its_reason_to_wait_have_the_codes_of_today(ledger: LedgerHarness) -> None:
    failed = job_in(ledger, Status.FAILED)
    ledger.store.hset(f"hg:job:{failed}", "error", json.dumps(OLD_ERROR, separators=(",", ":")))
    waiting = job_in(ledger, Status.WAITING)
    ledger.store.hset(f"hg:job:{waiting}", "wait_reason", "photo_not_taken")

    assert ledger.api_job(failed)["error"] == NEW_ERROR
    history = ledger.run(ledger.queries.history(failed))
    assert history is not None
    assert json.loads(history.after(0)[-1].data)["error"] == NEW_ERROR
    assert ledger.api_job(waiting)["wait"]["reason"] == "photo_processing_failed"


def test_the_audit_log_has_the_words_of_today(ledger: LedgerHarness) -> None:
    old = {"decision": "cool", "why": "please_wait", "by": "accept", "account": "shop"}
    ledger.store.xadd("hg:audit", dict[Any, Any](old))

    audit_log = AuditLog(ledger.client, ledger.script_config)
    for account in (None, "shop"):
        [entry], _ = ledger.run(audit_log.page(AuditFilter(account=account), cursor=None, limit=1))
        public = [entry[name] for name in ("decision", "reason", "by")]
        assert public == ["cooldown", "please_wait", "intake"]


def test_a_deliverys_attempt_has_the_words_of_today(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    [delivery] = ledger.deliveries_of(job_id)
    old = {"at": "2026-11-20T10:26:48.509Z", "outcome": "uncharged", "code": "handed_back"}
    ledger.store.rpush(f"hg:dlvlog:{delivery['id']}", json.dumps(old))

    [attempt] = ledger.delivery(delivery["id"])["attempt_log"]

    assert (attempt["outcome"], attempt["code"]) == ("not_counted", "interrupted")
