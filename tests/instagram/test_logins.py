"""The gate before a password login."""

from __future__ import annotations

import asyncio

import redis
from aiograpi.exceptions import ReloginAttemptExceeded

from actors.instagram.logins import MOST_FIRST_LOGINS, LoginGate
from actors.instagram.options import AccountOptions
from service.store import async_client

SHOP = AccountOptions("shop", "the.shop", "password")


async def _logins(url: str, *firsts: bool) -> int:
    """Ask for logins one after another, each from another worker; how many were allowed."""
    allowed = 0
    for first in firsts:
        client = async_client(url, max_connections=1)
        try:
            await LoginGate(client)(SHOP, first)
            allowed += 1
        except ReloginAttemptExceeded:
            pass
        finally:
            await client.aclose()
    return allowed


def test_after_the_first_login_one_more_a_day_goes_by_itself(
    store: redis.Redis, store_url: str
) -> None:
    assert asyncio.run(_logins(store_url, True, False, False, False)) == 2
    assert 0 < store.ttl("hg:logins:shop") <= 24 * 3600


def test_a_first_login_that_goes_on_failing_is_not_tried_for_ever(
    store: redis.Redis, store_url: str
) -> None:
    assert asyncio.run(_logins(store_url, *[True] * 9)) == MOST_FIRST_LOGINS


def test_the_day_begins_with_the_first_login_and_is_not_prolonged(
    store: redis.Redis, store_url: str
) -> None:
    asyncio.run(_logins(store_url, False))
    store.expire("hg:logins:shop", 5)
    assert asyncio.run(_logins(store_url, False)) == 0
    assert store.ttl("hg:logins:shop") <= 5
