"""A kill at each step of a photo DM: it arrives, and arrives once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.chaos.cluster import ROUNDS, Cluster, Victim
from tests.chaos.failpoints import FETCH_STEPS, PHOTO_STEPS
from tests.chaos.sender import ChaosSender
from tests.chaos.test_failpoints import VICTIMS
from tests.support.photo_host import PhotoHost, photo_host
from tests.support.photos import tagged_jpeg

#: Steps before anything of the write was sent, and steps at which it may have been.
STEPS = ("after intent", *PHOTO_STEPS, "before finish", "after finish")


@pytest.fixture(scope="module")
def host() -> Iterator[PhotoHost]:
    """A server that has the photo."""
    with photo_host({"/a": tagged_jpeg()}) as host:
        yield host


def order_photo(cluster: Cluster, name: str, url: str | None = None) -> None:
    """Create a photo DM to a recipient with whom the account has a thread."""
    job = ChaosSender(cluster.stack).order_photo(name, url or tagged_jpeg())
    cluster.expected.photos.append(str(job["id"]))


def known_recipient(cluster: Cluster, step: str) -> str:
    """A recipient who has had a DM, so that there is a thread."""
    name = f"photo-{step.replace(' ', '-')}-{os.urandom(4).hex()}"
    cluster.send_payment(name)
    cluster.wait_settled(40)
    return name


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_this_step_of_a_photo_neither_loses_nor_doubles_it(
    cluster: Cluster, step: str, victim: Victim
) -> None:
    for _ in range(ROUNDS):
        # Given a worker that dies, or whose store does, when it reaches this step
        name = known_recipient(cluster, step)
        failpoint = cluster.arm_failpoint(step, victim)
        # When a photo is sent
        order_photo(cluster, name)
        cluster.wait_triggered(failpoint)
        # Then it arrives once, with one callback
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", ["before the upload", "after the upload"])
def test_a_worker_frozen_in_a_photo_repeats_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that freezes there for longer than its lease
    name = known_recipient(cluster, step)
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    order_photo(cluster, name)
    cluster.wait_triggered(failpoint)
    # When another has finished the job, and the frozen one resumes
    cluster.wait_settled(40)
    cluster.thaw()
    # Then neither repeats anything: both take part in the next photos
    for number in range(4):
        order_photo(cluster, known_recipient(cluster, f"{step}-{number}"))
    cluster.wait_settled(40)
    cluster.check_promises()


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", FETCH_STEPS)
def test_a_kill_at_this_step_of_a_fetch_neither_loses_nor_doubles_the_photo(
    cluster: Cluster, host: PhotoHost, step: str, victim: Victim
) -> None:
    for _ in range(ROUNDS):
        # Given a worker that dies, or whose store does, when it reaches this step
        name = known_recipient(cluster, step)
        failpoint = cluster.arm_failpoint(step, victim)
        # When a photo is to be fetched
        order_photo(cluster, name, host.url("/a"))
        cluster.wait_triggered(failpoint)
        # Then it arrives once, with one callback
        cluster.wait_settled(40)
        cluster.check_promises()


def test_a_worker_frozen_in_a_fetch_changes_nothing_its_successor_did(
    cluster: Cluster, host: PhotoHost
) -> None:
    # Given a worker that freezes for longer than its lease while it fetches a photo
    step = "after a photo is fetched"
    name = known_recipient(cluster, step)
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    order_photo(cluster, name, host.url("/a"))
    cluster.wait_triggered(failpoint)
    # When another has sent the photo, and the frozen one resumes
    cluster.wait_settled(40)
    cluster.thaw()
    # Then the photo stays sent once: both take part in the next ones
    for number in range(4):
        order_photo(cluster, known_recipient(cluster, f"{step}-{number}"), host.url("/a"))
    cluster.wait_settled(40)
    cluster.check_promises()
