"""Random histories in which most DMs are photos by URL: the ledger stays consistent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.jobs.claims import Claim
from service.jobs.lua.release_job import Charge
from service.jobs.model import JobDraft, Status
from service.jobs.records import JobRecord
from tests.jobs.test_histories import DURATIONS, TRIED_CLAIMS, WEIGHTS, History, check_history
from tests.support.ledger import LedgerHarness
from tests.support.photo_fetches import BY_URL, PHOTO


class PhotoHistory(History):
    """As `History`, and workers that fetch photos."""

    weights = WEIGHTS | {"accept": 8, "claim_fetches": 5, "end_fetch": 5, "lose_photos": 1}

    def __init__(self, ledger: LedgerHarness, seed: int) -> None:
        super().__init__(ledger, seed)
        #: Claims of photos, as `claims`.
        self.fetches: list[Claim] = []

    def _draft(self) -> JobDraft:
        made = super()._draft()
        return made._replace(photo=self.rng.choice((BY_URL, BY_URL, BY_URL, None)), kind="dm")

    def _expected_status(self, job_id: str) -> Status:
        if not self._lacks_photo(self.ledger.record(job_id)):
            return super()._expected_status(job_id)
        assert self.ledger.turn(self.ledger.record(job_id).account) != job_id
        return Status.WAITING

    def _lacks_photo(self, job: JobRecord) -> bool:
        is_stored = self.ledger.store.exists(f"hg:jobphoto:{job.id}")
        return job.photo is not None and not job.intent_ms and not is_stored

    def claim_fetches(self) -> None:
        for job_id in self.ledger.take_messages("photos"):
            claim = self.ledger.claim_fetch(job_id, f"fetcher-{self.rng.random()}")
            if claim is not None:
                assert (claim.job.status, claim.text) == (Status.WAITING, BY_URL.url)
                assert self.ledger.turn(claim.job.account) != job_id
                self.fetches.append(claim)

    def end_fetch(self) -> None:
        if not self.fetches:
            return
        claim = self.rng.choice(self.fetches[-TRIED_CLAIMS:])
        valid, before = self._is_valid(claim), self.ledger.status(claim.id)
        end = self.rng.choice((self._save, self._save, self._fail, self._give_back))
        assert end(claim) == valid
        if not valid:
            assert self.ledger.status(claim.id) is before

    def _save(self, claim: Claim) -> bool:
        is_saved = self.ledger.store_photo(claim, PHOTO)
        if is_saved:
            assert self.ledger.status(claim.id) is self._expected_status(claim.id)
        return is_saved

    def _fail(self, claim: Claim) -> bool:
        return self.ledger.finish(claim, Status.FAILED)

    def _give_back(self, claim: Claim) -> bool:
        delay, before = self.rng.choice(DURATIONS), self.ledger.record(claim.id).failed_attempts
        charge: Charge = self.rng.choice(("counts", "free"))
        reply = self.ledger.release(claim, Status.WAITING, after_ms=delay, charge=charge)
        after = self.ledger.record(claim.id)
        assert after.failed_attempts == before + (reply == "ok" and charge == "counts")
        return reply == "ok" and after.status is Status.WAITING

    def lose_photos(self) -> None:
        """The stored photos of jobs that nobody works on expire."""
        for job_id in self.jobs:
            if self.ledger.status(job_id) in (Status.WAITING, Status.HELD, Status.QUEUED):
                self.ledger.store.delete(f"hg:jobphoto:{job_id}")

    def _live_claims(self) -> Sequence[Claim]:
        return [*self.claims, *self.fetches]

    def _finish_woken(self) -> None:
        for job_id in self.ledger.take_messages("photos"):
            claim = self.ledger.claim_fetch(job_id, "the last worker")
            assert claim is None or self.ledger.store_photo(claim, PHOTO)
        super()._finish_woken()


@pytest.mark.parametrize("seed", range(8))
def test_no_history_of_photos_makes_the_ledger_inconsistent_or_strands_a_job(
    ledger: LedgerHarness, seed: int
) -> None:
    history = PhotoHistory(ledger, seed)
    check_history(ledger, history)
    assert history.fetches
