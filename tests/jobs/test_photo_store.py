"""Stored photos: kept as long as their job may need them, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.accounts.suppressions import Suppressions
from service.jobs.account_effect import AccountEffect
from service.jobs.claims import Claim
from service.jobs.model import JobDraft, Status
from service.photos.photo import Photo, PhotoUrl
from tests.support import encryption
from tests.support.invariants import audit, diagnosis
from tests.support.ledger import DAY, HOUR, PERSON_KEYS, SECOND, TIMES, LedgerHarness, draft
from tests.support.limited_ledger import ledger_factory, limits, pace, send, spent_ms

PHOTO = Photo(b"\xff\xd8 a photo \x00\xff", 320, 200, "ab" * 32)
BY_URL = PhotoUrl("https://example.com/a.png")


def photo_draft(photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> JobDraft:
    return draft(**{"rule": None, "text": "", "photo": photo, **changes})


def create_photo_job(ledger: LedgerHarness, photo: Photo | PhotoUrl = PHOTO, **changes: Any) -> str:
    step = ledger.core.create(
        photo_draft(photo, **changes), caller="test", idempotency_key=None, request="r"
    )
    return ledger.run(step).job_id


def stored_photo(ledger: LedgerHarness, job_id: str) -> bytes | None:
    return encryption.stored_photo(ledger.store, job_id)


def claim_fetch(ledger: LedgerHarness, job_id: str, owner: str = "fetcher") -> Claim:
    """Claim a job to fetch its photo, which must be possible."""
    claim = ledger.claim_fetch(job_id, owner)
    assert claim is not None
    return claim


def fetch(ledger: LedgerHarness, job_id: str) -> None:
    """Fetch a job's photo."""
    assert ledger.store_photo(claim_fetch(ledger, job_id), PHOTO)


def test_a_photo_is_stored_with_its_job(ledger: LedgerHarness) -> None:
    job_id = create_photo_job(ledger)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.photos.load(claim)) == PHOTO.jpeg
    assert claim.job.photo == {
        "from": "upload",
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    assert claim.text == ""
    assert audit(ledger) == []


def _finish_as(status: Status) -> Callable[[LedgerHarness, str], object]:
    return lambda ledger, job_id: ledger.finish(ledger.claim_and_send(job_id), status)


def _expire(ledger: LedgerHarness, job_id: str) -> None:
    ledger.pass_time(2 * HOUR)
    ledger.heartbeat()


def _suppress(ledger: LedgerHarness, job_id: str) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put("pk:314159", account=None, reason="asked", by="crm"))
    assert ledger.record_intent(ledger.claim(job_id)) == "refused"


def _cancel_running(ledger: LedgerHarness, job_id: str) -> None:
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert ledger.record_intent(claim) == "canceled"


ENDS: dict[str, tuple[Callable[[LedgerHarness, str], object], Status]] = {
    **{str(status): (_finish_as(status), status) for status in (Status.SUCCEEDED, Status.FAILED)},
    "uncertain": (_finish_as(Status.UNCERTAIN), Status.UNCERTAIN),
    "canceled": (
        lambda ledger, job_id: ledger.run(ledger.core.cancel(job_id, "api:test")),
        Status.CANCELED,
    ),
    "canceled while running": (_cancel_running, Status.CANCELED),
    "expired": (_expire, Status.EXPIRED),
    "suppressed": (_suppress, Status.FAILED),
}


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS.keys())
def test_a_photo_is_deleted_in_the_step_that_ends_its_job(
    ledger: LedgerHarness, end: Callable[[LedgerHarness, str], object], status: Status
) -> None:
    job_id = create_photo_job(ledger, expires_ms=HOUR)
    end(ledger, job_id)
    assert (ledger.status(job_id), stored_photo(ledger, job_id)) == (status, None)
    assert ledger.api_job(job_id)["photo"]["sha256"] == PHOTO.sha256


def test_a_job_rejected_at_creation_stores_no_photo(ledger: LedgerHarness) -> None:
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put("some.handle", account=None, reason="asked", by="crm"))
    job_id = create_photo_job(ledger)
    assert (ledger.status(job_id), stored_photo(ledger, job_id)) == (Status.FAILED, None)


@pytest.mark.parametrize("to", [Status.QUEUED, Status.WAITING, Status.HELD, Status.SENDING])
def test_a_photo_is_kept_until_its_job_ends(ledger: LedgerHarness, to: Status) -> None:
    job_id = create_photo_job(ledger)
    assert ledger.release(ledger.claim_and_send(job_id), to, after_ms=HOUR) == "ok"
    assert stored_photo(ledger, job_id) == PHOTO.jpeg


def test_a_photo_expires_long_after_its_job_was_due(ledger: LedgerHarness) -> None:
    for delay_ms in (0, 30 * DAY):
        ttl_ms: Any = ledger.store.pttl(
            f"hg:jobphoto:{create_photo_job(ledger, delay_ms=delay_ms)}"
        )
        assert ttl_ms == pytest.approx(delay_ms + TIMES.keep, abs=5 * SECOND)


def test_pruning_leaves_no_photo(ledger: LedgerHarness) -> None:
    job_id = create_photo_job(ledger)
    ledger.finish(ledger.claim_and_send(job_id))
    ledger.store.set(f"hg:jobphoto:{job_id}", b"left by an older release")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert not [key for key in ledger.store.scan_iter() if job_id in key.decode()]


def test_a_downloaded_photo_is_kept_for_the_next_attempt(ledger: LedgerHarness) -> None:
    # Given a job whose photo must be downloaded
    job_id = create_photo_job(ledger, BY_URL)
    fetching = claim_fetch(ledger, job_id)
    assert (fetching.text, ledger.run(ledger.photos.load(fetching))) == (BY_URL.url, None)
    # When a worker has downloaded it
    assert ledger.store_photo(fetching, PHOTO)
    # Then every attempt finds it, and the job shows its metadata
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.photos.load(claim)) == PHOTO.jpeg
    assert ledger.release(claim, Status.QUEUED, charge="free") == "ok"
    again = ledger.claim(job_id, "another")
    assert ledger.run(ledger.photos.load(again)) == PHOTO.jpeg
    assert again.job.photo == {
        **(fetching.job.photo or {}),
        "bytes": len(PHOTO.jpeg),
        "width": 320,
        "height": 200,
        "sha256": PHOTO.sha256,
    }
    # And it is deleted when the job ends
    ledger.finish(again)
    assert stored_photo(ledger, claim.id) is None


def test_only_a_valid_claim_can_save_a_photo(ledger: LedgerHarness) -> None:
    # Given a job whose photo is fetched
    fetching = claim_fetch(ledger, create_photo_job(ledger, BY_URL))
    # Then neither an earlier claim nor, once it is stored, the same claim saves one
    stale = replace(fetching, fence=fetching.fence - 1)
    assert not ledger.store_photo(stale, PHOTO)
    assert stored_photo(ledger, fetching.id) is None
    assert ledger.store_photo(fetching, PHOTO)
    other = replace(PHOTO, jpeg=b"another")
    assert not ledger.store_photo(fetching, other)
    # And neither does the claim of the job's turn
    assert not ledger.store_photo(ledger.claim(fetching.id), other)
    assert stored_photo(ledger, fetching.id) == PHOTO.jpeg


def test_a_retry_needs_an_uploaded_photo_but_downloads_one_from_a_url_again(
    ledger: LedgerHarness,
) -> None:
    uploaded, by_url = (
        create_photo_job(ledger, account="shop"),
        create_photo_job(ledger, BY_URL, account="studio"),
    )
    fetch(ledger, by_url)
    for job_id in (uploaded, by_url):
        ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    assert ledger.run(ledger.core.retry(uploaded, "api:test")) == "photo_gone"
    assert ledger.status(uploaded) is Status.FAILED
    assert ledger.run(ledger.core.retry(by_url, "api:test")) == "ok"
    assert claim_fetch(ledger, by_url).text == BY_URL.url


def test_a_photo_needs_no_thread_check(ledger: LedgerHarness) -> None:
    job_id = create_photo_job(ledger)
    claim = ledger.claim(job_id)
    assert (claim.job.thread, ledger.record_intent(claim, thread="")) == ("old", "ok")


def test_a_job_with_a_photo_is_left_alone_by_the_previous_release(ledger: LedgerHarness) -> None:
    assert ledger.store.hget(f"hg:job:{create_photo_job(ledger)}", "v") == b"3"


def test_a_missing_photo_is_reported(ledger: LedgerHarness) -> None:
    job_id, _by_url = create_photo_job(ledger), create_photo_job(ledger, BY_URL)
    assert audit(ledger) == []
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    assert [(defect.id, defect.problem) for defect in diagnosis(ledger)] == [(job_id, "no photo")]


def test_a_cooldown_keeps_the_photo(ledger: LedgerHarness) -> None:
    job_id = create_photo_job(ledger)
    effect = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    assert ledger.release(ledger.claim(job_id), Status.WAITING, effect=effect) == "ok"
    assert stored_photo(ledger, job_id) == PHOTO.jpeg


def test_a_recipient_gets_the_same_photo_once_but_another_one_too(
    ledger: LedgerHarness, store_url: str
) -> None:
    with ledger_factory(store_url) as opened:
        ledger = opened(repeat_ms=DAY)
        send(ledger, create_photo_job(ledger))
        # When the same photo is sent again, uploaded or downloaded
        again, downloaded = (
            create_photo_job(ledger, account="studio"),
            create_photo_job(ledger, BY_URL, account="depot"),
        )
        fetch(ledger, downloaded)
        # Then it is rejected, and another photo is not
        for job_id in (again, downloaded):
            assert ledger.record_intent(ledger.claim(job_id)) == "refused"
        assert (
            ledger.record_intent(
                ledger.claim(create_photo_job(ledger, replace(PHOTO, sha256="cd" * 32)))
            )
            == "ok"
        )


def test_a_photo_is_charged_as_a_dm_to_an_existing_thread(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given that the budgets of new threads and of lookups are used up
    exhausted = limits(dm=pace(per_day=9), dm_new_thread=pace(per_day=1), lookup=pace(per_day=1))
    with ledger_factory(store_url) as opened:
        ledger = opened(shop=exhausted)
        claim = ledger.claim(ledger.add_job())
        assert ledger.record_intent(claim, thread="new", pk="1", reads=1) == "ok"
        ledger.finish(claim)
        # Then a photo is sent at once
        preview = ledger.run(ledger.core.preview(photo_draft(BY_URL), caller="test"))
        assert preview.decision == "send"
        send(ledger, create_photo_job(ledger), thread="")
        assert (len(spent_ms(ledger)), len(spent_ms(ledger, "dm_new_thread"))) == (2, 1)
