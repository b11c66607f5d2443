"""`kill -9` inside a login: one device, and no login more than those that were cut short."""

from __future__ import annotations

import itertools
import signal

import pytest

from deploy.local.wait import until
from tests.chaos.cluster import ROUNDS, Cluster
from tests.chaos.failpoints import LOGIN_STEPS

#: Where a login stands still between two of its requests.
FROZEN_STEPS = ("before the password", "after the password")


@pytest.fixture(scope="session")
def unused() -> itertools.count[int]:
    """Numbers of accounts that have not logged in yet."""
    return itertools.count()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_a_kill_in_the_first_login_costs_one_more_at_most(
    arena: Cluster, unused: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(arena, next(unused))
        # Given a worker that dies in the account's first login
        trap = arena.arm_failpoint(step)
        arena.order(f"first-{account}", account)
        arena.wait_triggered(trap)
        # Then the job is done once, from one device, after two logins at most
        arena.ended(40)
        arena.keeps_its_promises()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_after_a_kill_in_a_relogin_the_next_worker_logs_in_without_a_person(
    arena: Cluster, unused: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(arena, next(unused))
        arena.order(f"before-{account}", account)
        arena.ended(40)
        # Given a session that Instagram has ended, and a worker that dies when it logs in again
        arena.expire_session(account.replace("-", "."))
        trap = arena.arm_failpoint(step)
        arena.order(f"after-{account}", account)
        arena.wait_triggered(trap)
        # Then another one logs in and does the job
        arena.ended(40)
        arena.keeps_its_promises()


@pytest.mark.parametrize("step", FROZEN_STEPS)
def test_a_worker_frozen_in_a_login_makes_no_call_beside_its_successor(
    arena: Cluster, unused: itertools.count[int], step: str
) -> None:
    account = _account(arena, next(unused))
    # Given a worker that freezes in the account's first login
    trap = arena.arm_failpoint(step, number=signal.SIGSTOP)
    job = arena.order(f"frozen-{account}", account)
    arena.wait_triggered(trap)
    # When it goes on while its successor logs in, slowly
    arena.stack.fake_instagram.fault(
        "*", account=account.replace("-", "."), delay_seconds=0.3, times=20
    )
    until(lambda: arena.attempts(job) > 1, 30, "the successor")
    arena.thaw()
    # Then it leaves the account alone
    arena.ended(40)
    arena.stack.fake_instagram.clear_faults()
    arena.keeps_its_promises()


def _account(arena: Cluster, number: int) -> str:
    arena.stack.fake_instagram.add_account(
        f"extra.{number}", arena.stack.environ()["INSTAGRAM_PASSWORD"]
    )
    return f"extra-{number}"
