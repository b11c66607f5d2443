"""`kill -9` during a login: one device, and one more login for each that was interrupted."""

from __future__ import annotations

import itertools
import signal

import pytest

from deploy.local.wait import until
from tests.chaos.accounts import username_of
from tests.chaos.cluster import ROUNDS, Cluster
from tests.chaos.failpoints import LOGIN_STEPS
from tests.support.ledger import open_ledger

#: Steps between two requests of a login.
FROZEN_STEPS = ("before the password", "after the password")


@pytest.fixture(scope="session")
def account_numbers() -> itertools.count[int]:
    """Numbers of accounts that have not logged in yet."""
    return itertools.count()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_a_kill_in_the_first_login_costs_at_most_one_more(
    cluster: Cluster, account_numbers: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(cluster, next(account_numbers))
        # Given a worker that dies in the account's first login
        failpoint = cluster.arm_failpoint(step)
        cluster.order(f"first-{account}", account)
        cluster.wait_triggered(failpoint)
        # Then the job is done once, from one device, after at most two logins
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_after_a_kill_in_a_relogin_the_next_worker_logs_in_unattended(
    cluster: Cluster, account_numbers: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(cluster, next(account_numbers))
        cluster.order(f"before-{account}", account)
        cluster.wait_settled(40)
        # Given a session that Instagram has expired, and a worker that dies in the re-login
        cluster.expire_session(username_of(account))
        failpoint = cluster.arm_failpoint(step)
        cluster.order(f"after-{account}", account)
        cluster.wait_triggered(failpoint)
        # Then another one logs in and does the job
        cluster.wait_settled(40)
        cluster.check_promises()


@pytest.mark.parametrize("step", FROZEN_STEPS)
def test_a_worker_frozen_in_a_login_makes_no_call_beside_its_successor(
    cluster: Cluster, account_numbers: itertools.count[int], step: str
) -> None:
    account = _account(cluster, next(account_numbers))
    # Given a worker that freezes in the account's first login
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    job = cluster.order(f"frozen-{account}", account)
    cluster.wait_triggered(failpoint)
    # When it resumes while its successor logs in, slowly
    cluster.stack.fake_instagram.fault(
        "*", account=username_of(account), delay_seconds=0.3, times=20
    )
    until(lambda: _attempts(cluster, job) > 1, 30, "the successor")
    cluster.thaw()
    # Then it makes no call
    cluster.wait_settled(40)
    cluster.stack.fake_instagram.clear_faults()
    cluster.check_promises()


def _account(cluster: Cluster, number: int) -> str:
    cluster.stack.fake_instagram.add_account(
        f"extra.{number}", cluster.stack.environ()["INSTAGRAM_PASSWORD"]
    )
    return f"extra-{number}"


def _attempts(cluster: Cluster, job: str) -> int:
    with open_ledger(cluster.stack.redis_url) as ledger:
        return ledger.record(job).attempts
