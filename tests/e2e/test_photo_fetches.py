"""Photos by URL through real processes: whatever their servers do, other work goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from deploy.local.wait import until
from tests.support.invariants import audit
from tests.support.ledger import TIMES, open_ledger
from tests.support.photo_host import DRIPPING, Answer, PhotoHost, photo_host
from tests.support.photo_jobs import by_url, known_recipient, photos_to
from tests.support.photos import tagged_jpeg
from tests.support.scenario import Scenario


@pytest.fixture
def slow() -> Iterator[PhotoHost]:
    """A server whose answer never ends."""
    with photo_host({"/a": DRIPPING}) as host:
        yield host


@pytest.fixture
def decent() -> Iterator[PhotoHost]:
    """A server that has the photo."""
    with photo_host({"/a": Answer(tagged_jpeg())}) as host:
        yield host


def assert_consistent(scenario: Scenario) -> None:
    """The ledger is sound, while processes work on it."""
    with open_ledger(scenario.stack.redis_url, TIMES) as ledger:
        assert audit(ledger) == []


def stranger() -> str:
    return f"s{os.urandom(6).hex()}"


def test_a_dripping_server_delays_no_other_job_of_the_account(
    scenario: Scenario, slow: PhotoHost
) -> None:
    # Given a photo, ahead of all others, whose server drips
    job_id = by_url(scenario, "some.handle", slow.url("/a"), priority=9)
    until(lambda: slow.requested, what="the request")
    # Then other DMs of the account go out meanwhile
    for _ in range(3):
        assert scenario.wait_final(scenario.create_dm())["status"] == "succeeded"
    job = scenario.job(job_id)
    assert (job["status"], job["wait"]["reason"], len(slow.requested)) == ("waiting", "photo", 1)
    assert scenario.api.get("/accounts/shop").json()["jobs"]["turn"] is None
    assert_consistent(scenario)
    # When it is canceled, it ends at once
    scenario.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert scenario.job(job_id)["status"] == "canceled"
    assert len(scenario.wait_callbacks(job_id)) == 1
    assert_consistent(scenario)


def test_an_expired_job_does_not_wait_for_its_photo(scenario: Scenario, slow: PhotoHost) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    job_id = by_url(scenario, "some.handle", slow.url("/a"), expires_at=soon)
    assert scenario.wait_final(job_id, 10)["status"] == "expired"


def test_after_a_kill_during_its_fetch_another_worker_fetches_a_photo_again(
    scenario: Scenario, slow: PhotoHost
) -> None:
    # Given a worker that is killed while it fetches a photo
    to = known_recipient(scenario)
    job_id = by_url(scenario, to, slow.url("/a"))
    until(lambda: slow.requested, what="the request")
    scenario.stack.processes["worker"].kill()
    slow.answers["/a"] = Answer(tagged_jpeg())
    assert_consistent(scenario)
    # When another starts
    scenario.stack.start("worker")
    # Then it fetches the photo, which arrives once
    job = scenario.wait_final(job_id, 40)
    assert job["status"] == "succeeded"
    assert len(photos_to(scenario, to)) == len(scenario.wait_callbacks(job_id)) == 1
    assert slow.requested == ["/a", "/a"]
    assert_consistent(scenario)


def test_many_photos_of_two_dripping_servers_delay_neither_photos_nor_texts(
    scenario: Scenario, slow: PhotoHost, decent: PhotoHost
) -> None:
    with photo_host({"/a": DRIPPING}) as other:
        # Given many photos of two servers that drip
        to = known_recipient(scenario)
        job_ids = [
            by_url(scenario, stranger(), host.url("/a"), priority=9)
            for host in (slow, other)
            for _ in range(20)
        ]
        until(lambda: slow.requested and other.requested, what="the requests")
        # Then a text and a photo of another server go out
        text = scenario.create_dm()
        photo = by_url(scenario, to, decent.url("/a"))
        assert scenario.wait_final(text)["status"] == "succeeded"
        assert scenario.wait_final(photo)["status"] == "succeeded"
        assert len(photos_to(scenario, to)) == 1
        assert {scenario.job(job_id)["status"] for job_id in job_ids} == {"waiting"}
        assert_consistent(scenario)
        for job_id in job_ids:
            scenario.api.post(f"/jobs/{job_id}/cancel").raise_for_status()


def test_a_photo_that_is_lost_before_its_turn_is_fetched_again(
    scenario: Scenario, decent: PhotoHost
) -> None:
    # Given a job that waits for its account with its photo, which is then lost
    to = known_recipient(scenario)
    scenario.api.post("/accounts/shop/pause").raise_for_status()
    job_id = by_url(scenario, to, decent.url("/a"))
    scenario.wait_status(job_id, "held")
    with redis.Redis.from_url(scenario.stack.redis_url) as client:
        assert client.delete(f"hg:jobphoto:{job_id}") == 1
    # When it gets its turn
    scenario.api.post("/accounts/shop/resume").raise_for_status()
    # Then the photo is fetched again, and arrives
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert decent.requested == ["/a", "/a"]
    assert len(photos_to(scenario, to)) == 1
