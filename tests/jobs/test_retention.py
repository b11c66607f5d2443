"""Retention: what ended is forgotten whole, in its time; what has not ended is never dropped."""

from __future__ import annotations

from service.jobs.model import FINAL, Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, SECOND, TIMES, Books, Event, draft

#: What stays for ever: counters and the names of sources and accounts.
FOR_EVER = {
    "hg:seq",
    "hg:wakeseq",
    "hg:sources",
    "hg:accts",
    "hg:audit",
    "hg:feed",
    "hg:replid",
    "hg:counters",
} | {f"hg:bell:{queue}" for queue in ("actions", "callbacks")}


def _forget(books: Books) -> int:
    return books.run(books.ledger.prune())


def _settle_callbacks(books: Books, status: str = "delivered") -> None:
    for delivery_id in books.wakeups("callbacks"):
        claim = books.run(books.deliveries.claim(delivery_id, "worker"))
        if claim is not None:
            assert books.run(books.deliveries.record(claim, status, {}))  # type: ignore[arg-type]


def _keys(books: Books) -> set[str]:
    return {key.decode() for key in books.store.scan_iter("hg:*")}


def test_everything_about_what_ended_is_forgotten_and_only_counters_stay(books: Books) -> None:
    for number, status in enumerate(sorted(FINAL)):
        job_in(books, status, account=f"account-{number}", once_key=f"key-{number}")
    _settle_callbacks(books)
    books.accept(Event("evt_ignored"), status="ignored")
    books.accept(Event("evt_ignored", fingerprint="e" * 64))
    books.wakeups()

    books.pass_time(TIMES.keep + SECOND)
    assert _forget(books) > 0

    assert _keys(books) <= FOR_EVER
    assert _forget(books) == 0


def test_tombstones_outlive_bodies_and_texts(books: Books) -> None:
    accepted = books.accept(Event("evt_1"), draft(), body=b'{"private": true}')
    books.finish(books.sending(accepted.jobs[0]))
    _settle_callbacks(books)

    books.pass_time(TIMES.keep_bodies + SECOND)
    _forget(books)
    assert not any(key.startswith(("hg:eventbody:", "hg:jobtext:")) for key in _keys(books))
    books.pass_time(TIMES.keep - TIMES.keep_bodies - DAY)
    _forget(books)

    assert books.status(accepted.jobs[0]) is Status.SUCCEEDED
    assert books.accept(Event("evt_1"), draft()).outcome == "duplicate"


def test_nothing_that_has_not_ended_is_dropped(books: Books) -> None:
    unended = [status for status in Status if status not in FINAL]
    jobs = {status: job_in(books, status, account=f"to-{status}") for status in unended}
    pending = job_in(books, Status.CANCELED)

    books.pass_time(2 * TIMES.keep)
    # Even what an older version might have marked.
    for name in [*jobs.values(), books.owed(pending)[0]["id"]]:
        books.store.zadd("hg:retention", {name: 1})
    _forget(books)

    assert {status: books.status(job_id) for status, job_id in jobs.items()} == {
        status: status for status in unended
    }
    assert len(books.run(books.deliveries.page("pending", cursor=None, limit=10)).items) == 1


def test_a_job_that_outlives_its_event_still_ends(books: Books) -> None:
    job_id = books.job(delay_ms=100 * DAY)
    books.pass_time(TIMES.keep + SECOND)
    assert _forget(books) == 1

    books.pass_time(60 * DAY)
    books.tick()
    books.finish(books.sending(job_id))

    assert books.status(job_id) is Status.SUCCEEDED
    assert audit(books) == []


def test_an_event_that_comes_again_after_its_tombstone_finds_its_job(books: Books) -> None:
    event = Event("evt_1")
    job_id = books.accept(event, draft(delay_ms=100 * DAY)).jobs[0]
    books.pass_time(TIMES.keep + SECOND)
    _forget(books)

    again = books.accept(event, draft(delay_ms=100 * DAY))

    assert again.jobs == [job_id]
    assert books.status(job_id) is Status.SCHEDULED


def test_retention_works_through_any_number(books: Books) -> None:
    made = books.many(1_100)
    for job_id in made:
        books.run(books.ledger.cancel(job_id, "api:test"))
    _settle_callbacks(books)
    books.wakeups()
    books.pass_time(TIMES.keep + SECOND)

    assert _forget(books) == 3 * len(made)
    assert _keys(books) <= FOR_EVER
