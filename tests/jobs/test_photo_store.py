"""The photo of a job: there as long as the job may need it, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.accounts.suppressions import Suppressions
from service.jobs.claims import AccountEffect
from service.jobs.model import JobDraft, Status
from service.jobs.photo_store import PhotoStore
from service.photos.photo import Photo, PhotoUrl
from tests.support.invariants import audit, diagnosis
from tests.support.ledgers import DAY, HOUR, SECOND, TIMES, Books, draft
from tests.support.pacing import ledgers, pace, spent, terms, write

PHOTO = Photo(b"\xff\xd8 a photo \x00\xff", 320, 200, "ab" * 32)
BY_URL = PhotoUrl("https://example.com/a.png")


def asked(photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> JobDraft:
    return draft(**{"rule": None, "text": "", "photo": photo, **changes})


def make(books: Books, photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> str:
    step = books.ledger.create(
        asked(photo, **changes), caller="test", idempotency_key=None, request="r"
    )
    return books.run(step).job_id


def kept(books: Books, job_id: str) -> Any:
    return books.store.get(f"hg:jobphoto:{job_id}")


def photos(books: Books) -> PhotoStore:
    return PhotoStore(books.client, books.times)


def test_a_photo_is_kept_beside_its_job(books: Books) -> None:
    job_id = make(books)
    claim = books.claim(job_id)
    assert books.run(photos(books).load(claim)) == PHOTO.jpeg
    assert claim.job.photo == {
        "from": "upload",
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    assert claim.text == ""
    assert audit(books) == []


def _finished(status: Status) -> Callable[[Books, str], object]:
    return lambda books, job_id: books.finish(books.sending(job_id), status)


def _expires(books: Books, job_id: str) -> None:
    books.pass_time(2 * HOUR)
    books.tick()


def _is_refused(books: Books, job_id: str) -> None:
    people = Suppressions(books.client)
    books.run(people.put("pk:314159", account=None, reason="asked", by="crm"))
    assert books.intend(books.claim(job_id)) == "refused"


def _is_canceled_at_work(books: Books, job_id: str) -> None:
    claim = books.claim(job_id)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "asked"
    assert books.intend(claim) == "canceled"


ENDS: dict[str, tuple[Callable[[Books, str], object], Status]] = {
    **{str(each): (_finished(each), each) for each in (Status.SUCCEEDED, Status.FAILED)},
    "uncertain": (_finished(Status.UNCERTAIN), Status.UNCERTAIN),
    "canceled": (
        lambda books, job_id: books.run(books.ledger.cancel(job_id, "api:test")),
        Status.CANCELED,
    ),
    "canceled at work": (_is_canceled_at_work, Status.CANCELED),
    "expired": (_expires, Status.EXPIRED),
    "refused": (_is_refused, Status.FAILED),
}


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS.keys())
def test_a_photo_goes_in_the_step_that_ends_its_job(
    books: Books, end: Callable[[Books, str], object], status: Status
) -> None:
    job_id = make(books, expires_ms=HOUR)
    end(books, job_id)
    assert (books.status(job_id), kept(books, job_id)) == (status, None)
    assert books.shown(job_id)["photo"]["sha256"] == PHOTO.sha256


def test_a_job_that_is_born_failed_leaves_no_photo(books: Books) -> None:
    people = Suppressions(books.client)
    books.run(people.put("some.handle", account=None, reason="asked", by="crm"))
    job_id = make(books)
    assert (books.status(job_id), kept(books, job_id)) == (Status.FAILED, None)


@pytest.mark.parametrize("to", [Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING])
def test_a_photo_stays_while_its_job_is_not_ended(books: Books, to: Status) -> None:
    job_id = make(books)
    assert books.release(books.sending(job_id), to, after_ms=HOUR) == "ok"
    assert kept(books, job_id) == PHOTO.jpeg


def test_a_photo_expires_by_itself_long_after_its_job_was_due(books: Books) -> None:
    for delay_ms in (0, 30 * DAY):
        left: Any = books.store.pttl(f"hg:jobphoto:{make(books, delay_ms=delay_ms)}")
        assert left == pytest.approx(delay_ms + TIMES.keep, abs=5 * SECOND)


def test_what_is_forgotten_leaves_no_photo(books: Books) -> None:
    job_id = make(books)
    books.finish(books.sending(job_id))
    books.store.set(f"hg:jobphoto:{job_id}", b"left by an older release")
    books.pass_time(TIMES.keep + SECOND)
    books.run(books.ledger.prune())
    assert not [key for key in books.store.scan_iter() if job_id in key.decode()]


def test_a_photo_that_a_worker_fetched_is_kept_for_the_next_attempt(books: Books) -> None:
    # Given a job whose photo is to be fetched
    claim = books.claim(make(books, BY_URL))
    assert (claim.text, books.run(photos(books).load(claim))) == (BY_URL.url, None)
    # When its worker has fetched it
    assert books.run(photos(books).save(claim, PHOTO))
    # Then the next one finds it, and the job tells of it
    assert books.release(claim, Status.QUEUED, charge="free") == "ok"
    again = books.claim(claim.id, "another")
    assert books.run(photos(books).load(again)) == PHOTO.jpeg
    assert again.job.photo == {
        **(claim.job.photo or {}),
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    # And it goes with the job
    books.finish(again)
    assert kept(books, claim.id) is None


def test_only_the_holder_of_a_claim_leaves_a_photo(books: Books) -> None:
    claim = books.claim(make(books, BY_URL))
    stale = replace(claim, fence=claim.fence - 1)
    assert not books.run(photos(books).save(stale, PHOTO))
    assert books.intend(claim) == "ok"
    assert not books.run(photos(books).save(claim, PHOTO))
    assert kept(books, claim.id) is None


def test_an_uploaded_photo_is_not_sent_again_and_a_fetched_one_is_fetched_again(
    books: Books,
) -> None:
    uploaded, by_url = make(books, account="shop"), make(books, BY_URL, account="studio")
    for job_id in (uploaded, by_url):
        books.finish(books.sending(job_id), Status.FAILED)
    assert books.run(books.ledger.retry(uploaded, "api:test")) == "photo_gone"
    assert books.status(uploaded) is Status.FAILED
    assert books.run(books.ledger.retry(by_url, "api:test")) == "ok"
    assert books.claim(by_url).text == BY_URL.url


def test_a_photo_waits_for_no_new_thread_and_is_not_asked_about_one(books: Books) -> None:
    job_id = make(books)
    claim = books.claim(job_id)
    assert (claim.job.thread, books.intend(claim, thread="")) == ("old", "ok")


def test_a_job_with_a_photo_is_left_alone_by_the_release_before(books: Books) -> None:
    assert books.store.hget(f"hg:job:{make(books)}", "v") == b"2"


def test_the_doctor_misses_a_photo_that_is_gone(books: Books) -> None:
    job_id, _by_url = make(books), make(books, BY_URL)
    assert audit(books) == []
    books.store.delete(f"hg:jobphoto:{job_id}")
    assert [(each.id, each.problem) for each in diagnosis(books)] == [(job_id, "no photo")]


def test_a_rest_of_the_account_keeps_the_photo(books: Books) -> None:
    job_id = make(books)
    effect = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    assert books.release(books.claim(job_id), Status.WAITING, effect=effect) == "ok"
    assert kept(books, job_id) == PHOTO.jpeg


def test_the_same_photo_is_not_sent_to_somebody_twice_but_another_is(
    books: Books, store_url: str
) -> None:
    with ledgers(store_url) as opened:
        books = opened(repeat_ms=DAY)
        write(books, make(books))
        # When the same one comes again, uploaded or fetched
        again, fetched = make(books, account="studio"), make(books, BY_URL, account="depot")
        by_url = books.claim(fetched)
        books.run(photos(books).save(by_url, PHOTO))
        # Then it is refused, and another is not
        assert books.intend(books.claim(again)) == books.intend(by_url) == "refused"
        assert books.intend(books.claim(make(books, replace(PHOTO, sha256="cd" * 32)))) == "ok"


def test_a_photo_is_charged_as_a_dm_into_a_thread_that_exists(books: Books, store_url: str) -> None:
    # Given that no more threads may be opened, and that look-ups are used up too
    full = terms(dm=pace(per_day=9), dm_new_thread=pace(per_day=1), lookup=pace(per_day=1))
    with ledgers(store_url) as opened:
        books = opened(shop=full)
        claim = books.claim(books.job())
        assert books.intend(claim, thread="new", pk="1", reads=1) == "ok"
        books.finish(claim)
        # When a photo's turn comes, it goes at once
        told = books.run(books.ledger.preview(asked(BY_URL), caller="test"))
        assert told.decision == "send"
        write(books, make(books), thread="")
        assert (len(spent(books)), len(spent(books, "dm_new_thread"))) == (2, 1)
