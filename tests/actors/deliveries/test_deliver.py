"""Deliveries whose attempts end as their test says: what follows each result."""

from __future__ import annotations

from typing import Any

import pytest

from actors.deliveries.deliver import NOT_COUNTED_RETRY_MS, deferral_ms, deliver
from service.deliveries.attempt_results import AttemptResult
from service.deliveries.retry_schedule import HARD_STOP_MS
from tests.support.deliveries import due_deliveries
from tests.support.ledger import LedgerHarness
from tests.support.limited_ledger import SLACK, now_ms
from tests.support.runtime import endpoint, make_runtime


class ScriptedClient:
    """A callback client whose attempts end as they are told to."""

    def __init__(self, *results: AttemptResult) -> None:
        self._results = list(results)

    async def post(self, _url: str, _headers: Any, _body: bytes) -> AttemptResult:
        """Return the next result; the last one for good."""
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]


def attempts(
    ledger: LedgerHarness, *results: AttemptResult, count: int = 1, age_ms: int = 0
) -> dict[str, Any]:
    """Make so many attempts at one delivery, each when it is due; the delivery as the API has it.

    Parameters:
      ledger: The ledger.
      results: How the attempts end.
      count: How many; fewer when the delivery has ended.
      age_ms: How long ago the delivery was created.
    """
    [delivery_id] = due_deliveries(ledger, "crm", 1)
    if age_ms:
        created = int(ledger.store.hget(f"hg:dlv:{delivery_id}", "created") or 0)
        ledger.store.hset(f"hg:dlv:{delivery_id}", "created", created - age_ms)
    runtime = make_runtime(ledger, endpoint("crm"), callback_client=ScriptedClient(*results))
    for _ in range(count):
        ledger.run(deliver(runtime, delivery_id))
        wait_ms = ledger.delivery(delivery_id)["attempt_log"][-1]["next_in_ms"]
        ledger.pass_time(wait_ms or 0)
        ledger.heartbeat()
    runtime.heartbeat.stop()
    return ledger.delivery(delivery_id)


FAILURE = AttemptResult("retry", "http_500", status=500)


def test_failed_attempts_follow_the_schedule_to_its_end(ledger: LedgerHarness) -> None:
    delivery = attempts(ledger, FAILURE, count=13)

    # Then the waits are those before the second to the twelfth attempt, up to a fifth longer
    waits = [entry["next_in_ms"] for entry in delivery["attempt_log"]]
    minutes = (5 / 60, 0.5, 2, 10, 30, 120, 300, 600, 840, 1200, 1440)
    for wait_ms, usual in zip(waits, minutes, strict=False):
        assert usual <= wait_ms / 60_000 <= usual * 1.2
    # And the twelfth is the last
    assert (waits[len(minutes) :], delivery["status"], delivery["attempts"]) == (
        [None],
        "failed",
        12,
    )


def test_a_wait_that_the_endpoint_requests_is_kept(ledger: LedgerHarness) -> None:
    busy = AttemptResult("retry", "http_503", status=503, retry_after_ms=90_000)
    [entry] = attempts(ledger, busy)["attempt_log"]

    assert 90_000 <= entry["next_in_ms"] <= 108_000


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (AttemptResult("delivered", "http_200", status=200), "delivered"),
        (AttemptResult("gone", "http_410", status=410), "failed"),
        (AttemptResult("final", "blocked_address"), "failed"),
    ],
)
def test_a_final_result_ends_the_delivery(
    ledger: LedgerHarness, result: AttemptResult, status: str
) -> None:
    delivery = attempts(ledger, result)

    [entry] = delivery["attempt_log"]
    assert (delivery["status"], entry["next_in_ms"]) == (status, None)


def test_an_attempt_that_does_not_count_is_made_again_soon(ledger: LedgerHarness) -> None:
    delivery = attempts(ledger, AttemptResult("not_counted", "local_resources"))

    [entry] = delivery["attempt_log"]
    assert (entry["number"], entry["next_in_ms"]) == (None, NOT_COUNTED_RETRY_MS)
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)


def test_no_attempt_follows_the_hard_stop(ledger: LedgerHarness) -> None:
    # Given a delivery whose next attempt would be due just after it
    delivery = attempts(ledger, FAILURE, age_ms=HARD_STOP_MS - 4_000)

    assert (delivery["status"], delivery["attempts"]) == ("failed", 1)


def test_a_busy_origin_puts_a_delivery_off_for_ever_longer(ledger: LedgerHarness) -> None:
    [delivery_id] = due_deliveries(ledger, "crm", 1)
    busy = ScriptedClient(AttemptResult("not_counted", "origin_busy"))
    runtime = make_runtime(ledger, endpoint("crm"), callback_client=busy)
    for usual_ms in (1_000, 2_000, 4_000, 8_000, 16_000):
        before = now_ms(ledger.store)
        ledger.run(deliver(runtime, delivery_id))
        due = int(ledger.store.hget(f"hg:dlv:{delivery_id}", "next_at") or 0)
        assert usual_ms // 2 <= due - before <= usual_ms * 1.5 + SLACK
        ledger.pass_time(due - before)
        ledger.heartbeat()
    runtime.heartbeat.stop()


def test_a_response_that_repeats_secrets_is_logged_without_them(ledger: LedgerHarness) -> None:
    crm = endpoint("crm")
    body = f"bad signature {crm.secrets[0]} for {crm.url}?"
    [entry] = attempts(ledger, AttemptResult("retry", "http_400", status=400, body=body))[
        "attempt_log"
    ]

    assert entry["body"].startswith("bad signature ")
    assert not [each for each in (*crm.secrets, crm.url) if each in entry["body"]]


def test_deferred_deliveries_come_back_ever_later_and_not_together() -> None:
    usual = [deferral_ms(times, 0.5) for times in (*range(8), 10_000)]

    assert usual == [1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3, 60e3]
    assert [deferral_ms(0, jitter) for jitter in (0.0, 0.999)] == [500, 1499]
