"""Jobs whose photo is to be fetched: they wait outside of the account queue, and lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from service.jobs.claims import Claim
from service.jobs.lua.hash_encoding import BLANK
from service.jobs.model import Status
from service.photos.photo import Photo, PhotoUrl
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness

PHOTO: Final = Photo(b"\xff\xd8 a photo", 320, 200, "ab" * 32)
BY_URL: Final = PhotoUrl("https://example.com/a.png")
#: The `master_replid2` of a server that followed none: a store whose history it was fails over.
NEVER_REPLICATED: Final = "0" * 40


@pytest.fixture(autouse=True)
def stays_consistent(ledger: LedgerHarness) -> Iterator[None]:
    """However a test leaves the ledger, it is consistent."""
    yield
    assert audit(ledger) == []


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


def test_a_job_waits_for_its_photo_while_others_of_its_account_go_on(
    ledger: LedgerHarness,
) -> None:
    # Given a job whose photo is fetched, and one that came later
    photo = add_photo(ledger, priority=9)
    later = ledger.add_job()
    fetching = claim_fetch(ledger, photo)
    # Then the later one is done meanwhile, and the first says what it waits for
    assert ledger.turn() == later
    assert ledger.api_job(photo)["wait"] == {"reason": "photo", "until": None, "position": None}
    assert ledger.finish(ledger.claim(later))
    assert (ledger.turn(), waits_for(ledger, photo)) == (None, "photo")
    # When its photo is stored
    assert ledger.store_photo(fetching, PHOTO)
    # Then it gets the turn, and its first attempt is still to come
    assert (ledger.turn(), ledger.take_messages()) == (photo, [later, photo])
    assert ledger.record(photo).attempts == 0
    assert ledger.claim(photo).job.attempts == 1
    reasons = [entry["why"] for entry in ledger.run(ledger.queries.timeline(photo))]
    assert reasons == [None, "photo", "photo stored", None]


def test_with_its_photo_a_job_takes_the_place_of_its_priority_and_creation(
    ledger: LedgerHarness,
) -> None:
    # Given jobs around two photos that are stored last, the later one first
    running = ledger.claim(ledger.add_job())
    first = add_photo(ledger)
    second = ledger.add_job()
    urgent = add_photo(ledger, priority=9)
    third = ledger.add_job()
    for job_id in (urgent, first):
        fetch(ledger, job_id)
    # Then they go by priority and creation
    assert ledger.finish(running)
    ledger.take_messages("photos")
    assert ledger.run_all() == [urgent, first, second, third]


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


def test_a_failed_fetch_is_tried_again_when_it_is_due(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    assert ledger.release(claim_fetch(ledger, job_id), Status.WAITING, after_ms=5 * SECOND) == "ok"
    job = ledger.record(job_id)
    assert (waits_for(ledger, job_id), job.attempts, job.failed_attempts) == ("reason", 1, 1)
    # It is not fetched earlier, whoever is woken
    assert ledger.claim_fetch(job_id) is None
    assert ledger.take_messages("photos") == [job_id]
    ledger.pass_time(6 * SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]
    fetch(ledger, job_id)
    assert ledger.claim(job_id).job.attempts == 2


def test_a_fetch_given_back_for_free_does_not_count(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    claim = claim_fetch(ledger, job_id)
    assert ledger.release(claim, Status.WAITING, charge="free") == "ok"
    job = ledger.record(job_id)
    assert (job.attempts, job.failed_attempts) == (0, 0)
    ledger.take_messages("photos")
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]


@pytest.mark.parametrize("to", [Status.QUEUED, Status.HELD, Status.SENDING])
def test_a_fetch_leads_nowhere_but_to_waiting(ledger: LedgerHarness, to: Status) -> None:
    claim = claim_fetch(ledger, add_photo(ledger))
    assert ledger.release(claim, to) == "lost"
    assert ledger.store_photo(claim, PHOTO)


def test_a_photo_that_cannot_be_had_ends_its_job_without_the_turn(ledger: LedgerHarness) -> None:
    running = ledger.claim(ledger.add_job())
    job_id = add_photo(ledger)
    assert ledger.finish(claim_fetch(ledger, job_id), Status.FAILED)
    assert (ledger.status(job_id), ledger.turn()) == (Status.FAILED, running.id)
    assert len(ledger.deliveries_of(job_id)) == 1


def test_a_job_on_which_fetching_workers_die_is_given_up(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    for _ in range(50):
        claim_fetch(ledger, job_id)
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.claim_fetch(job_id) is None
    assert ledger.status(job_id) is Status.FAILED
    assert ledger.api_job(job_id)["error"]["code"] == "attempts_exhausted"


def _cancel(ledger: LedgerHarness, job_id: str) -> None:
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"


def _expire(ledger: LedgerHarness, _job_id: str) -> None:
    ledger.pass_time(3 * SECOND)
    ledger.heartbeat()


@pytest.mark.parametrize(
    ("end", "status"),
    [(_cancel, Status.CANCELED), (_expire, Status.EXPIRED)],
    ids=["canceled", "expired"],
)
def test_a_job_that_ends_during_its_fetch_ends_that(
    ledger: LedgerHarness, end: Callable[[LedgerHarness, str], None], status: Status
) -> None:
    job_id = add_photo(ledger, expires_ms=2 * SECOND)
    claim = claim_fetch(ledger, job_id)
    end(ledger, job_id)
    assert ledger.status(job_id) is status
    # The worker learns it with the next heartbeat, and can do nothing more
    assert ledger.heartbeat(claim)[0] == [job_id]
    assert not ledger.store_photo(claim, PHOTO)
    assert ledger.release(claim, Status.WAITING) == "lost"
    assert not ledger.finish(claim, Status.FAILED)
    assert ledger.store.exists(f"hg:jobphoto:{job_id}") == 0


def test_a_photo_is_fetched_while_its_account_is_paused(ledger: LedgerHarness) -> None:
    ledger.run(ledger.controls.pause("shop"))
    job_id = add_photo(ledger)
    assert waits_for(ledger, job_id) == "photo"
    fetch(ledger, job_id)
    assert ledger.status(job_id) is Status.HELD
    ledger.run(ledger.controls.resume("shop"))
    assert ledger.turn() == job_id


def test_a_photo_of_a_later_job_is_fetched_when_the_job_is_due(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger, delay_ms=HOUR)
    assert (ledger.status(job_id), ledger.take_messages("photos")) == (Status.SCHEDULED, [])
    assert ledger.claim_fetch(job_id) is None
    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()
    assert (waits_for(ledger, job_id), ledger.take_messages("photos")) == ("photo", [job_id])


def test_a_photo_that_expires_before_its_turn_is_fetched_again_without_the_turn(
    ledger: LedgerHarness,
) -> None:
    # Given a job that has waited for its turn for longer than photos are kept
    running = ledger.claim(ledger.add_job())
    job_id, next_id = add_photo(ledger), ledger.add_job()
    fetch(ledger, job_id)
    ledger.take_messages("photos")
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    # When it gets the turn
    assert ledger.finish(running)
    assert ledger.turn() == job_id
    # Then it gives that to the next job, and is fetched again
    assert ledger.try_claim(job_id) is None
    assert (ledger.turn(), waits_for(ledger, job_id)) == (next_id, "photo")
    assert ledger.take_messages("photos") == [job_id]
    fetch(ledger, job_id)
    assert ledger.finish(ledger.claim(next_id))
    assert ledger.claim(job_id)


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


def test_a_retried_job_fetches_its_photo_first(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    assert ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    ledger.take_messages("photos")
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert (waits_for(ledger, job_id), ledger.turn()) == ("photo", None)
    assert ledger.take_messages("photos") == [job_id]


def test_an_uncertain_job_is_verified_without_its_photo(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    assert ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    ledger.take_messages("photos")
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    claim = ledger.claim(job_id)
    assert (claim.verify_first, ledger.take_messages("photos")) == (True, [])
    # When Instagram does not have it, the photo is fetched before it is sent again
    assert ledger.release(claim, Status.QUEUED) == "ok"
    assert (waits_for(ledger, job_id), ledger.turn()) == ("photo", None)


def test_after_a_failover_a_photo_that_was_being_fetched_is_verified(
    ledger: LedgerHarness,
) -> None:
    # Given a photo that was being fetched in the last moment that a replica has
    job_id = add_photo(ledger)
    fetching = claim_fetch(ledger, job_id)
    ledger.store.set("hg:replid", NEVER_REPLICATED)
    ledger.heartbeat(fetching)
    # Then what followed may have sent it
    assert ledger.record(job_id).intent_ms > 0
    assert ledger.store_photo(fetching, PHOTO)
    assert ledger.claim(job_id).verify_first


def test_a_job_without_a_photo_pays_nothing_for_those_of_others(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))  # the scripts are loaded now
    store: Any = ledger.store
    with store.monitor() as monitor:
        ledger.finish(ledger.claim_and_send(ledger.add_job()))
        ledger.heartbeat()
        ledger.store.echo("done")
        commands = []
        while "done" not in (command := monitor.next_command()["command"]):
            commands.append(command)
    assert commands
    assert [command for command in commands if "photo" in command] == []


def test_a_doctor_finds_a_photo_that_nobody_would_fetch(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    ledger.take_messages("photos")
    ledger.store.zrem("hg:due", job_id)
    assert ledger.rescue() == 1
    ledger.heartbeat()
    assert ledger.take_messages("photos") == [job_id]


def test_no_field_of_a_photos_claim_is_left_when_its_job_has_ended(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    claim_fetch(ledger, job_id)
    _cancel(ledger, job_id)
    stored: Any = ledger.store.hgetall(f"hg:job:{job_id}")
    names = {name.decode() for name in stored}
    assert not names & {"owner", "lease", "renewed", "wait_reason", "wait_until", "echoes"}
    assert names & set(BLANK)


def test_a_store_keeps_a_fetched_photo_as_long_as_records(ledger: LedgerHarness) -> None:
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    left: Any = ledger.store.pttl(f"hg:jobphoto:{job_id}")
    assert left == pytest.approx(40 * DAY, abs=SECOND)


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
