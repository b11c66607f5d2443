"""The audit log: each decision about a write, with its reason and without the text."""

from __future__ import annotations

from typing import Any

import pytest

from service.accounts.suppressions import Suppressions
from service.jobs.audit_filter import AuditFilter
from service.jobs.audit_log import AuditLog
from tests.support.ledger import DAY, PERSON_KEYS, LedgerHarness
from tests.support.limited_ledger import ledger_factory, limits, send


def _entries(ledger: LedgerHarness, job_id: str) -> list[dict[str, Any]]:
    audit_log = AuditLog(ledger.client, ledger.script_config)
    items, _ = ledger.run(audit_log.page(AuditFilter(), cursor=None, limit=100))
    return [item for item in items if item["job_id"] == job_id]


def test_a_sent_write_is_logged(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())

    [entry] = _entries(ledger, claim.id)

    assert (entry["decision"], entry["reason"], entry["by"]) == ("send", None, "worker")
    assert (entry["account"], entry["to"], entry["pk"]) == ("shop", "some.handle", "314159")
    assert "Thank you!" not in str(entry)


@pytest.mark.parametrize("reason", ["recipient_suppressed", "recipient_repeated"])
def test_a_rejection_right_before_the_write_is_logged(
    ledger: LedgerHarness, store_url: str, reason: str
) -> None:
    with ledger_factory(store_url) as opened:
        ledger = opened(repeat_ms=DAY, shop=limits())
        # Given a claimed job whose recipient must not get it
        if reason == "recipient_repeated":
            send(ledger, ledger.add_job())
        claim = ledger.claim(ledger.add_job())
        if reason == "recipient_suppressed":
            suppressions = Suppressions(ledger.client, PERSON_KEYS)
            ledger.run(suppressions.put("pk:314159", account=None, reason="asked", by="crm"))
        # When it is about to be written
        assert ledger.record_intent(claim) == "refused"
        # Then the rejection is logged with its reason and the recipient
        [entry] = _entries(ledger, claim.id)
        assert (entry["decision"], entry["reason"], entry["by"]) == ("refuse", reason, "worker")
        assert (entry["to"], entry["pk"], entry["kind"]) == ("some.handle", "314159", "dm")
