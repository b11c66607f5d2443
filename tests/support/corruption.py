"""Damages a ledger as a store that lost keys would, for tests of the doctor."""

from __future__ import annotations

from tests.support.invariants import ALARMS
from tests.support.ledger import LedgerHarness


def drop_alarms(ledger: LedgerHarness, job_id: str) -> None:
    """Remove everything that leads to a job: alarms, its place in a queue, its wake-up."""
    for index in (*ALARMS, *ledger.store.scan_iter("hg:acct:*", _type="zset")):
        ledger.store.zrem(index, job_id)
    ledger.take_messages()


def drop_job(ledger: LedgerHarness, job_id: str) -> None:
    """Remove a job, its index entries and its wake-up; a turn it holds remains."""
    ledger.store.delete(f"hg:job:{job_id}", f"hg:jobtext:{job_id}")
    _drop_entries(ledger, job_id)
    ledger.take_messages()


def drop_delivery(ledger: LedgerHarness, delivery_id: str) -> None:
    """Remove a delivery, its index entries and its wake-up."""
    ledger.store.delete(f"hg:dlv:{delivery_id}")
    _drop_entries(ledger, delivery_id)
    ledger.take_messages("callbacks")


def _drop_entries(ledger: LedgerHarness, member: str) -> None:
    for index in ledger.store.scan_iter("hg:*", _type="zset"):
        ledger.store.zrem(index, member)
