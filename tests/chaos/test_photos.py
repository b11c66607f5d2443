"""A death at each step of a photo: it arrives, and arrives once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.chaos.cluster import ROUNDS, Cluster, Victim
from tests.chaos.failpoints import PHOTO_STEPS
from tests.chaos.sender import ChaosSender
from tests.chaos.test_failpoints import VICTIMS
from tests.support.photos import telling_jpeg

#: Where the write is begun and nothing of it has left, and where it may have.
STEPS = ("after intent", *PHOTO_STEPS, "before finish", "after finish")


def show(cluster: Cluster, name: str) -> None:
    """Ask for a photo to somebody whom the account has a conversation with."""
    job = ChaosSender(cluster.stack).order_photo(name, telling_jpeg())
    cluster.expected.photos.append(str(job["id"]))


def friend(cluster: Cluster, step: str) -> str:
    """Somebody with whom there is a conversation."""
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
        # Given a worker that dies, or whose store does, when it comes to this step
        name = friend(cluster, step)
        trap = cluster.arm_failpoint(step, victim)
        # When a photo goes its way
        show(cluster, name)
        cluster.wait_triggered(trap)
        # Then it arrives once, and its end is told once
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", ["before the upload", "after the upload"])
def test_a_worker_frozen_in_a_photo_does_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that freezes there for longer than its lease
    name = friend(cluster, step)
    trap = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    show(cluster, name)
    cluster.wait_triggered(trap)
    # When another has ended the job, and the frozen one goes on
    cluster.wait_settled(40)
    cluster.thaw()
    # Then nothing is done twice, by any of them: the next photos go through both
    for number in range(4):
        show(cluster, friend(cluster, f"{step}-{number}"))
    cluster.wait_settled(40)
    cluster.check_promises()
