"""The cache of pks by username."""

from __future__ import annotations

import asyncio

import pytest
import redis
from redis.asyncio import Redis

from service.accounts.user_id_cache import TTL_SECONDS, UserIdCache
from service.jobs.person_keys import traces_key
from tests.support.ledger import PERSON_KEYS


def cached(store_url: str, asked: str, shown: str | None, *names: str) -> list[str | None]:
    """What is cached under these names once a lookup of `asked` has found pk 7."""

    async def steps() -> list[str | None]:
        async with Redis.from_url(store_url) as client:
            user_ids = UserIdCache(client, PERSON_KEYS)
            await user_ids.remember(asked, "7", shown, account="shop")
            return [await user_ids.pk(name) for name in names]

    return asyncio.run(steps())


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("jenny", "jenny"), ("jenny", "Jenny"), ("jenny", None), ("jenny", ""), ("@123", "123")],
)
def test_a_pk_is_cached_for_a_day_under_the_name_that_was_asked_for(
    store: redis.Redis, store_url: str, asked: str, shown: str | None
) -> None:
    assert cached(store_url, asked, shown, asked) == ["7"]
    assert 0 < store.ttl(f"hg:pk:{asked}") <= TTL_SECONDS
    cached_keys = {f"hg:pk:{asked}".encode(), f"hg:known:{asked}".encode()}
    assert set(store.keys("hg:[pk]*")) == cached_keys
    for name in (asked.removeprefix("@"), "pk:7"):
        assert store.smembers(traces_key(PERSON_KEYS.key(name))) == cached_keys


@pytest.mark.parametrize(
    ("asked", "shown", "name"), [("old", "New.Name", "new.name"), ("old", "42", "@42")]
)
def test_a_renamed_user_is_cached_under_the_new_name_only(
    store: redis.Redis, store_url: str, asked: str, shown: str, name: str
) -> None:
    assert store.dbsize() == 0
    assert cached(store_url, asked, shown, name, asked) == ["7", None]
