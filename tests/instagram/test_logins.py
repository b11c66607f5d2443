"""The gate before a password login."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
import redis
from aiograpi.exceptions import BadPassword, ReloginAttemptExceeded

from actors.instagram.logins import MOST_FIRST_LOGINS, LoginGate
from actors.instagram.options import AccountOptions
from service.store import async_client

SHOP = AccountOptions("shop", "the.shop", "password")
End = Literal["well", "badly", "cut short"]
#: Whether it is the first, and how it ends.
Login = tuple[bool, End]
AGAIN: Login = (False, "well")
FIRST_IN_VAIN: Login = (True, "badly")


async def _login(url: str, first: bool, end: End) -> bool:
    """Log in from a worker of its own; whether that was allowed."""
    client = async_client(url, max_connections=1)
    try:
        async with LoginGate(client)(SHOP, first):
            if end == "badly":
                raise BadPassword
            if end == "cut short":
                raise asyncio.CancelledError
    except ReloginAttemptExceeded:
        return False
    except (BadPassword, asyncio.CancelledError):
        pass
    finally:
        await client.aclose()
    return True


def _allowed(url: str, *logins: Login) -> int:
    async def one_after_another() -> int:
        return sum([await _login(url, first, end) for first, end in logins])

    return asyncio.run(one_after_another())


def test_after_the_first_login_one_more_a_day_goes_by_itself(
    store: redis.Redis, store_url: str
) -> None:
    assert _allowed(store_url, (True, "well"), *[AGAIN] * 3) == 2
    assert 0 < store.ttl("hg:logins:shop") <= 24 * 3600


@pytest.mark.parametrize(("end", "allowed"), [("well", 1), ("badly", 1), ("cut short", 2)])
def test_a_login_that_was_cut_short_is_made_up_for_once(
    store: redis.Redis, store_url: str, end: End, allowed: int
) -> None:
    assert _allowed(store_url, *[(False, end)] * 4) == allowed


def test_a_first_login_that_goes_on_failing_is_not_tried_for_ever(
    store: redis.Redis, store_url: str
) -> None:
    assert _allowed(store_url, *[FIRST_IN_VAIN] * 9) == MOST_FIRST_LOGINS


def test_the_day_begins_with_the_first_login_and_is_not_prolonged(
    store: redis.Redis, store_url: str
) -> None:
    _allowed(store_url, AGAIN)
    store.expire("hg:logins:shop", 5)
    assert _allowed(store_url, AGAIN) == 0
    assert store.ttl("hg:logins:shop") <= 5
