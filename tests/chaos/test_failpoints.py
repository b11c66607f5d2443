"""A kill at each step: acknowledged work is done, and done once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.chaos.cluster import ROUNDS, Cluster, Victim
from tests.chaos.failpoints import WEB_STEPS, WORKER_STEPS
from tests.support.store import given_store

#: A Redis given by TEST_REDIS_URL is not killed.
VICTIMS: tuple[Victim, ...] = ("process", "store") if given_store() is None else ("process",)


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", [*WEB_STEPS, *WORKER_STEPS])
def test_a_kill_at_this_step_loses_nothing_and_doubles_nothing(
    cluster: Cluster, step: str, victim: Victim
) -> None:
    for _ in range(ROUNDS):
        # Given a process that dies, or whose store does, when it reaches this step
        failpoint = cluster.arm_failpoint(step, victim)
        # When a paid event is processed
        cluster.send_payment(_unique_name(step))
        cluster.wait_triggered(failpoint)
        # Then it makes one DM and one callback
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", ["after claim", "after intent", "before finish"])
def test_a_worker_frozen_at_this_step_repeats_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that freezes there for longer than its lease
    name = _unique_name(step)
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    cluster.send_payment(name)
    cluster.wait_triggered(failpoint)
    # When another has finished the job, and the frozen one resumes
    cluster.wait_settled(40)
    cluster.thaw()
    # Then neither repeats anything: both take part in the next jobs
    for number in range(6):
        cluster.send_payment(f"{name}-{number}")
    cluster.wait_settled(40)
    cluster.check_promises()


@pytest.mark.parametrize("step", ["after claim", "after intent", "before finish"])
def test_a_worker_cut_off_from_the_store_at_this_step_repeats_nothing_its_successor_did(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that from there on reaches Instagram, but not the store
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    cluster.send_payment(_unique_name(step))
    cluster.wait_triggered(failpoint)
    label = cluster.triggered_by(failpoint)
    cluster.relays[label].stall(60)
    cluster.log(f"stall {label}'s connections to the store")
    cluster.thaw()
    # When another has finished the job, and the store is reachable again
    cluster.wait_settled(40)
    cluster.relays[label].clear()
    # Then neither repeats anything
    for _ in range(3):
        cluster.send_payment(_unique_name(step))
    cluster.wait_settled(40)
    cluster.check_promises()


def _unique_name(step: str) -> str:
    return f"{step.replace(' ', '-')}-{os.urandom(4).hex()}"
