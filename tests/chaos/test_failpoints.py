"""A death at each named step: what was acknowledged is done, and done once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.chaos.cluster import ROUNDS, Cluster, Victim
from tests.chaos.failpoints import WEB_STEPS, WORKER_STEPS
from tests.support.store import given_store

#: A store that is given is not ours to kill.
VICTIMS: tuple[Victim, ...] = ("process", "store") if given_store() is None else ("process",)


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", [*WEB_STEPS, *WORKER_STEPS])
def test_a_kill_at_this_step_loses_nothing_and_doubles_nothing(
    cluster: Cluster, step: str, victim: Victim
) -> None:
    for _ in range(ROUNDS):
        # Given a process that dies, or whose store does, when it comes to this step
        trap = cluster.arm_failpoint(step, victim)
        # When a paid event goes its way
        cluster.send_payment(_named(step))
        cluster.wait_triggered(trap)
        # Then it makes one DM and one callback
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", ["after claim", "after intent", "before finish"])
def test_a_worker_frozen_at_this_step_does_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that freezes there for longer than its lease
    name = _named(step)
    trap = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    cluster.send_payment(name)
    cluster.wait_triggered(trap)
    # When another has ended the job, and the frozen one goes on
    cluster.wait_settled(40)
    cluster.thaw()
    # Then nothing is done twice, by any of them: the next jobs go through both
    for number in range(6):
        cluster.send_payment(f"{name}-{number}")
    cluster.wait_settled(40)
    cluster.check_promises()


@pytest.mark.parametrize("step", ["after claim", "after intent", "before finish"])
def test_a_worker_cut_off_from_the_store_at_this_step_does_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that cannot reach the store from there on, only Instagram
    trap = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    cluster.send_payment(_named(step))
    cluster.wait_triggered(trap)
    label = cluster.triggered_by(trap)
    cluster.relays[label].stall(60)
    cluster.log(f"stall {label}'s way to the store")
    cluster.thaw()
    # When another has ended the job, and it can again
    cluster.wait_settled(40)
    cluster.relays[label].clear()
    # Then nothing is done twice, by any of them
    for _ in range(3):
        cluster.send_payment(_named(step))
    cluster.wait_settled(40)
    cluster.check_promises()


def _named(step: str) -> str:
    return f"{step.replace(' ', '-')}-{os.urandom(4).hex()}"
