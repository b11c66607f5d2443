"""What a store that lost keys looks like: the harm that the doctor is there for."""

from __future__ import annotations

from tests.support.invariants import ALARMS
from tests.support.ledgers import Books


def forget_alarms(books: Books, job_id: str) -> None:
    """Lose whatever leads to a job, its place in a line and its wake-up on the broker too."""
    for index in (*ALARMS, *books.store.scan_iter("hg:acct:*", _type="zset")):
        books.store.zrem(index, job_id)
    books.wakeups()


def drop_job(books: Books, job_id: str) -> None:
    """Lose a job, every index entry of it and its wake-up; a turn that it has stays its own."""
    books.store.delete(f"hg:job:{job_id}", f"hg:jobtext:{job_id}")
    _drop_entries(books, job_id)
    books.wakeups()


def drop_delivery(books: Books, delivery_id: str) -> None:
    """Lose a delivery, every index entry of it and its wake-up."""
    books.store.delete(f"hg:dlv:{delivery_id}")
    _drop_entries(books, delivery_id)
    books.wakeups("callbacks")


def _drop_entries(books: Books, member: str) -> None:
    for index in books.store.scan_iter("hg:*", _type="zset"):
        books.store.zrem(index, member)
