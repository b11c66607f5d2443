"""Retention: ended work is pruned completely when due; unfinished work is never pruned."""

from __future__ import annotations

from service.deliveries.delivery_filter import DeliveryFilter
from service.jobs.model import FINAL, Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import (
    DAY,
    SECOND,
    TIMES,
    Event,
    LedgerHarness,
    draft,
    open_ledger,
)
from tests.support.limited_ledger import limits, times_with_limits

#: Never pruned: counters and the names of sources and accounts.
PERMANENT_KEYS = {
    "hg:seq",
    "hg:wakeseq",
    "hg:sources",
    "hg:accts",
    "hg:audit",
    "hg:feed",
    "hg:replid",
    "hg:history",
    "hg:marks",
    "hg:counters",
} | {f"hg:bell:{queue}" for queue in ("actions", "callbacks")}


def _prune(ledger: LedgerHarness) -> int:
    return ledger.run(ledger.core.prune())


def _finish_deliveries(ledger: LedgerHarness, status: str = "delivered") -> None:
    for delivery_id in ledger.take_messages("callbacks"):
        claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
        if claim is not None:
            assert ledger.run(ledger.deliveries.record(claim, status, {}))  # type: ignore[arg-type]


def _keys(ledger: LedgerHarness) -> set[str]:
    return {key.decode() for key in ledger.store.scan_iter("hg:*")}


def _records(ledger: LedgerHarness) -> set[str]:
    """The keys without the counters by the hour, which expire by themselves."""
    return {key for key in _keys(ledger) if not key.startswith("hg:stats:")}


def test_pruning_deletes_everything_about_ended_work_except_counters(
    ledger: LedgerHarness,
) -> None:
    for number, status in enumerate(sorted(FINAL)):
        job_in(ledger, status, account=f"account-{number}", once_key=f"key-{number}")
    _finish_deliveries(ledger)
    ledger.accept(Event("evt_ignored"), status="ignored")
    ledger.accept(Event("evt_ignored", fingerprint="e" * 64))
    ledger.take_messages()

    ledger.pass_time(TIMES.keep + SECOND)
    assert _prune(ledger) > 0

    assert _records(ledger) <= PERMANENT_KEYS
    assert _prune(ledger) == 0


def test_tombstones_outlive_bodies_and_texts(ledger: LedgerHarness) -> None:
    accepted = ledger.accept(Event("evt_1"), draft(), body=b'{"private": true}')
    ledger.finish(ledger.claim_and_send(accepted.jobs[0]))
    _finish_deliveries(ledger)

    ledger.pass_time(TIMES.keep_bodies + SECOND)
    _prune(ledger)
    assert not any(
        key.startswith(("hg:encbody:", "hg:eventbody:", "hg:jobtext:")) for key in _keys(ledger)
    )
    ledger.pass_time(TIMES.keep - TIMES.keep_bodies - DAY)
    _prune(ledger)

    assert ledger.status(accepted.jobs[0]) is Status.SUCCEEDED
    assert ledger.accept(Event("evt_1"), draft()).outcome == "duplicate"


def test_unfinished_work_is_never_pruned(ledger: LedgerHarness) -> None:
    unfinished = [status for status in Status if status not in FINAL]
    jobs = {status: job_in(ledger, status, account=f"to-{status}") for status in unfinished}
    owed = [job_in(ledger, Status.CANCELED, account=f"owed-{number}") for number in range(2)]
    deliveries = [ledger.deliveries_of(job_id)[0]["id"] for job_id in owed]

    ledger.pass_time(2 * TIMES.keep)
    assert ledger.run(ledger.deliveries.claim(deliveries[0], "worker"))
    # Even if an older release has marked it.
    for name in [*jobs.values(), *deliveries]:
        ledger.store.zadd("hg:retention", {name: 1})
    _prune(ledger)

    assert {status: ledger.status(job_id) for status, job_id in jobs.items()} == {
        status: status for status in unfinished
    }
    for unended in (DeliveryFilter(("pending",)), DeliveryFilter(("delivering",))):
        assert len(ledger.run(ledger.deliveries.page(unended, cursor=None, limit=10)).items) == 1


def test_a_job_that_outlives_its_event_still_finishes(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(delay_ms=100 * DAY)
    ledger.pass_time(TIMES.keep + SECOND)
    assert _prune(ledger) == 1

    ledger.pass_time(60 * DAY)
    ledger.heartbeat()
    ledger.finish(ledger.claim_and_send(job_id))

    assert ledger.status(job_id) is Status.SUCCEEDED
    assert audit(ledger) == []


def test_an_event_received_again_after_its_retention_finds_its_job(ledger: LedgerHarness) -> None:
    event = Event("evt_1")
    job_id = ledger.accept(event, draft(delay_ms=100 * DAY)).jobs[0]
    ledger.pass_time(TIMES.keep + SECOND)
    _prune(ledger)

    again = ledger.accept(event, draft(delay_ms=100 * DAY))

    assert again.jobs == [job_id]
    assert ledger.status(job_id) is Status.SCHEDULED


def test_any_number_of_records_is_pruned(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(1_100)
    for job_id in jobs:
        ledger.run(ledger.core.cancel(job_id, "api:test"))
    _finish_deliveries(ledger)
    ledger.take_messages()
    ledger.pass_time(TIMES.keep + SECOND)

    assert _prune(ledger) == 3 * len(jobs)
    assert _records(ledger) <= PERMANENT_KEYS


def test_a_callback_about_an_account_is_pruned_after_its_own_end(
    ledger: LedgerHarness, store_url: str
) -> None:
    notified = times_with_limits(shop=limits(callback="crm"))
    with open_ledger(store_url, notified) as held:
        held.run(held.controls.pause("shop", note="holidays"))
        [delivery] = held.run(
            held.deliveries.page(DeliveryFilter(("pending",)), cursor=None, limit=10)
        ).items
        assert delivery["type"] == "account.held"
        # Given one that is delivered only much later
        held.pass_time(2 * TIMES.keep)
        assert _prune(held) == 0
        _finish_deliveries(held)
        # Then it is kept from there on
        held.pass_time(TIMES.keep - SECOND)
        assert _prune(held) == 0
        held.pass_time(2 * SECOND)
        assert _prune(held) == 1
        assert held.run(held.deliveries.read(delivery["id"])) is None
