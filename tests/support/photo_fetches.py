"""Jobs whose photo is to be fetched, and the steps of their fetch."""

from __future__ import annotations

from typing import Any, Final

from service.jobs.claims import Claim
from service.photos.photo import Photo, PhotoUrl
from tests.support.ledger import LedgerHarness

PHOTO: Final = Photo(b"\xff\xd8 a photo", 320, 200, "ab" * 32)
BY_URL: Final = PhotoUrl("https://example.com/a.png")


def add_photo(ledger: LedgerHarness, **changes: Any) -> str:
    """Create a job whose photo is to be fetched."""
    return ledger.add_job(photo=BY_URL, text="", **changes)


def claim_fetch(ledger: LedgerHarness, job_id: str) -> Claim:
    """Claim the fetch of a job's photo, which must be possible."""
    claim = ledger.claim_fetch(job_id, f"fetcher of {job_id}")
    assert claim is not None
    return claim


def fetch(ledger: LedgerHarness, job_id: str) -> None:
    """Fetch a job's photo."""
    assert ledger.store_photo(claim_fetch(ledger, job_id), PHOTO)


def waits_for(ledger: LedgerHarness, job_id: str) -> Any:
    """What a waiting job waits for."""
    job = ledger.api_job(job_id)
    assert job["status"] == "waiting"
    return job["wait"]["reason"]
