"""Deliveries that are due, as the ledger makes them."""

from __future__ import annotations

from tests.support.ledger import LedgerHarness


def due_deliveries(ledger: LedgerHarness, callback: str, count: int) -> list[str]:
    """Deliveries that are due, to one endpoint."""
    for job_id in ledger.add_jobs(count, callback=callback):
        assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    ledger.take_messages()
    return ledger.take_messages("callbacks")
