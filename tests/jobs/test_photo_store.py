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
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness, draft
from tests.support.limited_ledger import ledger_factory, limits, pace, send, spent_ms

PHOTO = Photo(b"\xff\xd8 a photo \x00\xff", 320, 200, "ab" * 32)
BY_URL = PhotoUrl("https://example.com/a.png")


def asked(photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> JobDraft:
    return draft(**{"rule": None, "text": "", "photo": photo, **changes})


def make(ledger: LedgerHarness, photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> str:
    step = ledger.core.create(
        asked(photo, **changes), caller="test", idempotency_key=None, request="r"
    )
    return ledger.run(step).job_id


def kept(ledger: LedgerHarness, job_id: str) -> Any:
    return ledger.store.get(f"hg:jobphoto:{job_id}")


def photos(ledger: LedgerHarness) -> PhotoStore:
    return PhotoStore(ledger.client, ledger.script_config)


def test_a_photo_is_kept_beside_its_job(ledger: LedgerHarness) -> None:
    job_id = make(ledger)
    claim = ledger.claim(job_id)
    assert ledger.run(photos(ledger).load(claim)) == PHOTO.jpeg
    assert claim.job.photo == {
        "from": "upload",
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    assert claim.text == ""
    assert audit(ledger) == []


def _finished(status: Status) -> Callable[[LedgerHarness, str], object]:
    return lambda ledger, job_id: ledger.finish(ledger.claim_and_send(job_id), status)


def _expires(ledger: LedgerHarness, job_id: str) -> None:
    ledger.pass_time(2 * HOUR)
    ledger.heartbeat()


def _is_refused(ledger: LedgerHarness, job_id: str) -> None:
    people = Suppressions(ledger.client)
    ledger.run(people.put("pk:314159", account=None, reason="asked", by="crm"))
    assert ledger.record_intent(ledger.claim(job_id)) == "refused"


def _is_canceled_at_work(ledger: LedgerHarness, job_id: str) -> None:
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert ledger.record_intent(claim) == "canceled"


ENDS: dict[str, tuple[Callable[[LedgerHarness, str], object], Status]] = {
    **{str(each): (_finished(each), each) for each in (Status.SUCCEEDED, Status.FAILED)},
    "uncertain": (_finished(Status.UNCERTAIN), Status.UNCERTAIN),
    "canceled": (
        lambda ledger, job_id: ledger.run(ledger.core.cancel(job_id, "api:test")),
        Status.CANCELED,
    ),
    "canceled at work": (_is_canceled_at_work, Status.CANCELED),
    "expired": (_expires, Status.EXPIRED),
    "refused": (_is_refused, Status.FAILED),
}


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS.keys())
def test_a_photo_goes_in_the_step_that_ends_its_job(
    ledger: LedgerHarness, end: Callable[[LedgerHarness, str], object], status: Status
) -> None:
    job_id = make(ledger, expires_ms=HOUR)
    end(ledger, job_id)
    assert (ledger.status(job_id), kept(ledger, job_id)) == (status, None)
    assert ledger.api_job(job_id)["photo"]["sha256"] == PHOTO.sha256


def test_a_job_that_is_born_failed_leaves_no_photo(ledger: LedgerHarness) -> None:
    people = Suppressions(ledger.client)
    ledger.run(people.put("some.handle", account=None, reason="asked", by="crm"))
    job_id = make(ledger)
    assert (ledger.status(job_id), kept(ledger, job_id)) == (Status.FAILED, None)


@pytest.mark.parametrize("to", [Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING])
def test_a_photo_stays_while_its_job_is_not_ended(ledger: LedgerHarness, to: Status) -> None:
    job_id = make(ledger)
    assert ledger.release(ledger.claim_and_send(job_id), to, after_ms=HOUR) == "ok"
    assert kept(ledger, job_id) == PHOTO.jpeg


def test_a_photo_expires_by_itself_long_after_its_job_was_due(ledger: LedgerHarness) -> None:
    for delay_ms in (0, 30 * DAY):
        left: Any = ledger.store.pttl(f"hg:jobphoto:{make(ledger, delay_ms=delay_ms)}")
        assert left == pytest.approx(delay_ms + TIMES.keep, abs=5 * SECOND)


def test_what_is_forgotten_leaves_no_photo(ledger: LedgerHarness) -> None:
    job_id = make(ledger)
    ledger.finish(ledger.claim_and_send(job_id))
    ledger.store.set(f"hg:jobphoto:{job_id}", b"left by an older release")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert not [key for key in ledger.store.scan_iter() if job_id in key.decode()]


def test_a_photo_that_a_worker_fetched_is_kept_for_the_next_attempt(ledger: LedgerHarness) -> None:
    # Given a job whose photo is to be fetched
    claim = ledger.claim(make(ledger, BY_URL))
    assert (claim.text, ledger.run(photos(ledger).load(claim))) == (BY_URL.url, None)
    # When its worker has fetched it
    assert ledger.run(photos(ledger).save(claim, PHOTO))
    # Then the next one finds it, and the job tells of it
    assert ledger.release(claim, Status.QUEUED, charge="free") == "ok"
    again = ledger.claim(claim.id, "another")
    assert ledger.run(photos(ledger).load(again)) == PHOTO.jpeg
    assert again.job.photo == {
        **(claim.job.photo or {}),
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    # And it goes with the job
    ledger.finish(again)
    assert kept(ledger, claim.id) is None


def test_only_the_holder_of_a_claim_leaves_a_photo(ledger: LedgerHarness) -> None:
    claim = ledger.claim(make(ledger, BY_URL))
    stale = replace(claim, fence=claim.fence - 1)
    assert not ledger.run(photos(ledger).save(stale, PHOTO))
    assert ledger.record_intent(claim) == "ok"
    assert not ledger.run(photos(ledger).save(claim, PHOTO))
    assert kept(ledger, claim.id) is None


def test_an_uploaded_photo_is_not_sent_again_and_a_fetched_one_is_fetched_again(
    ledger: LedgerHarness,
) -> None:
    uploaded, by_url = make(ledger, account="shop"), make(ledger, BY_URL, account="studio")
    for job_id in (uploaded, by_url):
        ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    assert ledger.run(ledger.core.retry(uploaded, "api:test")) == "photo_gone"
    assert ledger.status(uploaded) is Status.FAILED
    assert ledger.run(ledger.core.retry(by_url, "api:test")) == "ok"
    assert ledger.claim(by_url).text == BY_URL.url


def test_a_photo_waits_for_no_new_thread_and_is_not_asked_about_one(ledger: LedgerHarness) -> None:
    job_id = make(ledger)
    claim = ledger.claim(job_id)
    assert (claim.job.thread, ledger.record_intent(claim, thread="")) == ("old", "ok")


def test_a_job_with_a_photo_is_left_alone_by_the_release_before(ledger: LedgerHarness) -> None:
    assert ledger.store.hget(f"hg:job:{make(ledger)}", "v") == b"2"


def test_the_doctor_misses_a_photo_that_is_gone(ledger: LedgerHarness) -> None:
    job_id, _by_url = make(ledger), make(ledger, BY_URL)
    assert audit(ledger) == []
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    assert [(each.id, each.problem) for each in diagnosis(ledger)] == [(job_id, "no photo")]


def test_a_rest_of_the_account_keeps_the_photo(ledger: LedgerHarness) -> None:
    job_id = make(ledger)
    effect = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    assert ledger.release(ledger.claim(job_id), Status.WAITING, effect=effect) == "ok"
    assert kept(ledger, job_id) == PHOTO.jpeg


def test_the_same_photo_is_not_sent_to_somebody_twice_but_another_is(
    ledger: LedgerHarness, store_url: str
) -> None:
    with ledger_factory(store_url) as opened:
        ledger = opened(repeat_ms=DAY)
        send(ledger, make(ledger))
        # When the same one comes again, uploaded or fetched
        again, fetched = make(ledger, account="studio"), make(ledger, BY_URL, account="depot")
        by_url = ledger.claim(fetched)
        ledger.run(photos(ledger).save(by_url, PHOTO))
        # Then it is refused, and another is not
        assert (
            ledger.record_intent(ledger.claim(again)) == ledger.record_intent(by_url) == "refused"
        )
        assert (
            ledger.record_intent(ledger.claim(make(ledger, replace(PHOTO, sha256="cd" * 32))))
            == "ok"
        )


def test_a_photo_is_charged_as_a_dm_into_a_thread_that_exists(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given that no more threads may be opened, and that look-ups are used up too
    full = limits(dm=pace(per_day=9), dm_new_thread=pace(per_day=1), lookup=pace(per_day=1))
    with ledger_factory(store_url) as opened:
        ledger = opened(shop=full)
        claim = ledger.claim(ledger.add_job())
        assert ledger.record_intent(claim, thread="new", pk="1", reads=1) == "ok"
        ledger.finish(claim)
        # When a photo's turn comes, it goes at once
        told = ledger.run(ledger.core.preview(asked(BY_URL), caller="test"))
        assert told.decision == "send"
        send(ledger, make(ledger), thread="")
        assert (len(spent_ms(ledger)), len(spent_ms(ledger, "dm_new_thread"))) == (2, 1)
