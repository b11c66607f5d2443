"""Deliveries that are due, as the ledger makes them."""

from __future__ import annotations

from tests.support.ledger import LedgerHarness

#: As a worker logs it.
ATTEMPT = {
    "number": 1,
    "at": "2026-11-20T10:26:50.702Z",
    "outcome": "delivered",
    "code": "http_204",
    "message": "The endpoint responded with status 204.",
    "status": 204,
    "duration_ms": 12,
    "body": "",
}


def due_deliveries(ledger: LedgerHarness, callback: str, count: int) -> list[str]:
    """Deliveries that are due, to one endpoint."""
    for job_id in ledger.add_jobs(count, callback=callback):
        assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    ledger.take_messages()
    return ledger.take_messages("callbacks")
