"""Fetches of photos whose worker, wake-up, reply or store is lost: another goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import SECOND, TIMES, LedgerHarness
from tests.support.photo_fetches import PHOTO, add_photo, claim_fetch, fetch, waits_for

#: The `master_replid2` of a server that followed none: a store whose history it was fails over.
NEVER_REPLICATED: Final = "0" * 40


@pytest.fixture(autouse=True)
def stays_consistent(ledger: LedgerHarness) -> Iterator[None]:
    """However a test leaves the ledger, it is consistent."""
    yield
    assert audit(ledger) == []


def test_a_photo_whose_worker_dies_is_fetched_by_another(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    dead = claim_fetch(ledger, job_id)
    assert ledger.claim_fetch(job_id, "another") is None
    # When the lease is over
    ledger.take_messages("photos")
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    # Then another worker is woken, and the dead one can store nothing
    assert ledger.take_messages("photos") == [job_id]
    fetching = claim_fetch(ledger, job_id)
    assert not ledger.store_photo(dead, PHOTO)
    assert ledger.store_photo(fetching, PHOTO)
    reasons = [entry["why"] for entry in ledger.run(ledger.queries.timeline(job_id))]
    assert reasons == [None, "photo", "lease expired", "photo stored"]


def test_a_claim_whose_reply_was_lost_is_given_again(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    first, again = claim_fetch(ledger, job_id), claim_fetch(ledger, job_id)
    assert (again.fence, again.job) == (first.fence, first.job)


def test_a_long_fetch_keeps_its_claim(ledger: LedgerHarness) -> None:
    fetching = claim_fetch(ledger, add_photo(ledger))
    for _ in range(5):
        ledger.pass_time(TIMES.lease - SECOND)
        assert ledger.heartbeat(fetching) == ([], 0)
    assert ledger.store_photo(fetching, PHOTO)


def test_a_lost_wake_up_is_repeated_ever_later(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    woken = []
    for second in range(150):
        ledger.heartbeat()
        woken += [second for _ in ledger.take_messages("photos")]
        ledger.pass_time(SECOND)
    assert woken == pytest.approx([0, 10, 30, 70], abs=1)
    assert waits_for(ledger, job_id) == "photo"
    assert ledger.run(ledger.queries.timeline(job_id))[2:] == []


def test_no_wake_up_is_repeated_while_its_queue_is_long(ledger: LedgerHarness) -> None:
    add_photo(ledger)
    ledger.take_messages("photos")
    ledger.store.rpush("hg-mq:photos", *(f"wake-{number}" for number in range(501)))
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.store.llen("hg-mq:photos") == 501
    ledger.store.delete("hg-mq:photos")
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.store.llen("hg-mq:photos") == 1


def test_a_job_on_which_fetching_workers_die_is_given_up(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    for _ in range(50):
        claim_fetch(ledger, job_id)
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.claim_fetch(job_id) is None
    assert ledger.status(job_id) is Status.FAILED
    assert ledger.api_job(job_id)["error"]["code"] == "attempts_exhausted"


def test_after_a_failover_a_photo_that_was_being_fetched_is_verified(
    ledger: LedgerHarness,
) -> None:
    # Given a photo that was being fetched in the last moment that a replica has
    job_id = add_photo(ledger)
    fetching = claim_fetch(ledger, job_id)
    ledger.store.set("hg:replid", NEVER_REPLICATED)
    ledger.heartbeat(fetching)
    # Then what followed may have sent it
    assert ledger.store_photo(fetching, PHOTO)
    ledger.pass_time(TIMES.lease + TIMES.settle)
    ledger.heartbeat()
    assert ledger.claim(job_id).verify_first


def test_a_doctor_finds_a_photo_that_nobody_would_fetch(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    ledger.take_messages("photos")
    ledger.store.zrem("hg:due", job_id)
    assert ledger.rescue() == 1
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]


def test_photos_leave_memory_for_what_matters_more(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    ledger.take_messages("photos")
    memory: Any = ledger.store.info("memory")
    limit: Any = ledger.store.config_get("maxmemory")
    # Given a store of whose memory less than a fifth is left
    ledger.store.config_set("maxmemory", int(memory["used_memory"] * 1.2))
    try:
        assert ledger.claim_fetch(job_id) is None
        assert waits_for(ledger, job_id) == "store_full"
    finally:
        ledger.store.config_set("maxmemory", limit["maxmemory"])
    # When there is memory again, it is fetched within a minute
    assert ledger.claim_fetch(job_id) is None
    ledger.pass_time(61 * SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]
    fetch(ledger, job_id)
    reasons = [entry["why"] for entry in ledger.run(ledger.queries.timeline(job_id))]
    assert reasons == [None, "photo", "photo stored"]


def test_wake_ups_that_were_lost_before_do_not_delay_those_of_the_fetch(
    ledger: LedgerHarness,
) -> None:
    # Given a job with the turn whose wake-ups nobody claimed
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    for _ in range(60):
        ledger.pass_time(SECOND)
        ledger.heartbeat()
    ledger.take_messages("photos")
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    # When its photo must be fetched
    assert ledger.try_claim(job_id) is None
    assert ledger.take_messages("photos") == [job_id]
    # Then a lost wake-up is repeated after a lease
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]


def test_a_job_that_the_release_before_has_queued_gives_its_turn_away(
    ledger: LedgerHarness,
) -> None:
    # Given a job that the release before has queued, and given the turn, without its photo
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    ledger.take_messages("photos")
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    assert ledger.turn() == job_id
    # When a worker of this release claims it
    assert ledger.try_claim(job_id) is None
    # Then the photo is fetched without the turn
    assert (ledger.turn(), waits_for(ledger, job_id)) == (None, "photo")
    assert ledger.take_messages("photos") == [job_id]
