"""Live updates as a client library reads them: httpx-sse, to the letter of EventSource."""

from __future__ import annotations

import pytest
from httpx_sse import connect_sse

from service.live import subscriptions
from tests.api.test_jobs import make
from tests.support.ledger import LedgerHarness
from tests.support.web import WebHarness


def test_every_event_that_httpx_sse_reads_has_a_type_and_data(
    web: WebHarness, ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given keepalives at every turn
    monkeypatch.setattr(subscriptions, "HEARTBEAT_SECONDS", 0.01)
    job_id = make(web)

    # When
    with connect_sse(web.api, "GET", f"/jobs/{job_id}/live") as source:
        updates = source.iter_sse()
        first = next(updates)
        ledger.finish(ledger.claim_and_send(job_id))
        events = [first, *updates]

    # Then
    assert [event.event for event in events][-1] == "end"
    assert [event for event in events if not event.data or not event.id] == []
    assert first.retry == 1000
