"""`kill -9` inside a login: one device, and no login more than those that were cut short."""

from __future__ import annotations

import itertools

import pytest

from tests.chaos.arena import ROUNDS, Arena
from tests.chaos.traps import LOGIN_STEPS


@pytest.fixture(scope="session")
def unused() -> itertools.count[int]:
    """Numbers of accounts that have not logged in yet."""
    return itertools.count()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_a_kill_in_the_first_login_costs_one_more_at_most(
    arena: Arena, unused: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(arena, next(unused))
        # Given a worker that dies in the account's first login
        trap = arena.trap(step)
        arena.order(f"first-{account}", account)
        arena.sprung(trap)
        # Then the job is done once, from one device, after two logins at most
        arena.ended(40)
        arena.keeps_its_promises()


@pytest.mark.parametrize("step", LOGIN_STEPS)
def test_after_a_kill_in_a_relogin_the_next_worker_logs_in_without_a_person(
    arena: Arena, unused: itertools.count[int], step: str
) -> None:
    for _ in range(ROUNDS):
        account = _account(arena, next(unused))
        arena.order(f"before-{account}", account)
        arena.ended(40)
        # Given a session that Instagram has ended, and a worker that dies when it logs in again
        arena.expire_session(account.replace("-", "."))
        trap = arena.trap(step)
        arena.order(f"after-{account}", account)
        arena.sprung(trap)
        # Then another one logs in and does the job
        arena.ended(40)
        arena.keeps_its_promises()


def _account(arena: Arena, number: int) -> str:
    arena.stack.standin.add_account(f"extra.{number}", arena.stack.environ()["INSTAGRAM_PASSWORD"])
    return f"extra-{number}"
