"""Jobs whose photo is to be fetched: they wait outside of the account queue, and delay nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.jobs.lua.hash_encoding import BLANK
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness
from tests.support.photo_fetches import PHOTO, add_photo, claim_fetch, fetch, waits_for


@pytest.fixture(autouse=True)
def stays_consistent(ledger: LedgerHarness) -> Iterator[None]:
    """However a test leaves the ledger, it is consistent."""
    yield
    assert audit(ledger) == []


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


def test_a_job_in_the_queue_is_not_fetched_by_a_late_wake_up(ledger: LedgerHarness) -> None:
    running = ledger.claim(ledger.add_job())
    job_id = add_photo(ledger)
    fetch(ledger, job_id)
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    # Until its turn nobody needs the photo that is gone
    assert ledger.claim_fetch(job_id) is None
    assert waits_for(ledger, job_id) == "turn"
    assert ledger.finish(running)
    assert ledger.turn() == job_id


def test_a_job_whose_time_ran_out_during_its_attempt_expires_instead_of_its_photo_being_fetched(
    ledger: LedgerHarness,
) -> None:
    # Given a job that was past its end while it ran, and whose worker then died
    job_id = add_photo(ledger, expires_ms=5 * SECOND)
    fetch(ledger, job_id)
    claim = ledger.claim(job_id)
    ledger.pass_time(6 * SECOND)
    ledger.heartbeat(claim)
    ledger.store.delete(f"hg:jobphoto:{job_id}")
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    # Then it ends without another fetch
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.EXPIRED
