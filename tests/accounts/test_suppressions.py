"""The suppression list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.accounts.suppressions import RECIPIENT, Suppressions, suppression_key
from service.redis.client import async_client
from tests.support.ledger import PERSON_KEYS


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def suppressions(
    store: redis.Redis, store_url: str, runner: asyncio.Runner
) -> Iterator[Suppressions]:
    assert store.dbsize() == 0
    client = async_client(store_url, max_connections=4)
    yield Suppressions(client, PERSON_KEYS)
    runner.run(client.aclose())


def stored(store: redis.Redis) -> dict[str, Any]:
    """The entries of the hash; the zset must have the same members."""
    entries: Any = store.hgetall("hg:suppressed")
    assert sorted(entries) == store.zrange("hg:suppressions", 0, -1)
    return {field.decode(): json.loads(value) for field, value in entries.items()}


@pytest.mark.parametrize(
    ("recipient", "key"), [("some.handle", "some.handle"), ("314159", "pk:314159"), ("@123", "123")]
)
def test_each_recipient_has_one_suppression_key(recipient: str, key: str) -> None:
    assert suppression_key(recipient) == key


def test_an_entry_applies_to_all_accounts_or_to_one(
    store: redis.Redis, suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    for account in (None, "shop"):
        step = suppressions.put("some.handle", account=account, reason="asked", by="crm")
        entry, new = runner.run(step)
        assert new
        assert runner.run(suppressions.get("some.handle", account=account)) == entry
    assert runner.run(suppressions.get("some.handle", account="other")) is None
    found = stored(store)
    assert list(found) == ["*:some.handle", "shop:some.handle"]
    assert {(entry["reason"], entry["by"]) for entry in found.values()} == {("asked", "crm")}
    seconds, _ = store.time()
    assert abs(found["*:some.handle"]["since"] - seconds * 1000) < 60_000


def test_changing_a_reason_keeps_the_entrys_age(
    store: redis.Redis, suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    first, _ = runner.run(suppressions.put("a", account=None, reason=None, by="crm"))
    second, new = runner.run(suppressions.put("a", account=None, reason="asked", by="other"))
    assert not new
    assert (second.reason, second.by, second.since_ms) == ("asked", "other", first.since_ms)
    assert len(stored(store)) == 1


def test_only_the_named_entry_is_removed(
    store: redis.Redis, suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    for account in (None, "shop"):
        runner.run(suppressions.put("a", account=account, reason=None, by="crm"))
    assert not runner.run(suppressions.remove("a", account="other"))
    assert runner.run(suppressions.remove("a", account="shop"))
    assert not runner.run(suppressions.remove("a", account="shop"))
    assert list(stored(store)) == ["*:a"]


@pytest.mark.parametrize(
    ("username", "names"),
    [("some.handle", ["some.handle"]), ("@123", ["123"]), (None, [])],
)
def test_a_recipients_refusal_is_stored_by_name_and_id_for_that_account(
    store: redis.Redis,
    suppressions: Suppressions,
    runner: asyncio.Runner,
    username: str | None,
    names: list[str],
) -> None:
    runner.run(
        suppressions.suppress_for_account("314", username, "shop", "message_requests_disabled")
    )
    found = stored(store)
    assert set(found) == {"shop:pk:314", *(f"shop:{name}" for name in names)}
    assert {(entry["reason"], entry["by"]) for entry in found.values()} == {
        ("message_requests_disabled", RECIPIENT)
    }


def test_a_recipients_refusal_does_not_replace_a_persons_entry(
    store: redis.Redis, suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    runner.run(suppressions.put("some.handle", account="shop", reason="by phone", by="crm"))
    runner.run(
        suppressions.suppress_for_account("314", "some.handle", "shop", "message_requests_disabled")
    )
    found = stored(store)
    assert found["shop:some.handle"]["reason"] == "by phone"
    assert "shop:pk:314" in found


def test_pages_list_every_entry_once_while_others_are_added_and_removed(
    suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    # Given more entries than fit on a page
    names = [f"name{n:02}" for n in range(7)]
    for name in names:
        runner.run(suppressions.put(name, account=None, reason=None, by="crm"))
    # When the cursor's entry is removed, and one is added before it
    first, cursor = runner.run(suppressions.page(cursor=None, limit=3))
    runner.run(suppressions.remove("name02", account=None))
    runner.run(suppressions.put("name00a", account=None, reason=None, by="crm"))
    second, cursor = runner.run(suppressions.page(cursor=cursor, limit=3))
    third, end = runner.run(suppressions.page(cursor=cursor, limit=3))
    # Then the other entries follow in order, and the last page has no cursor
    assert [entry.key for page in (first, second, third) for entry in page] == names
    assert end is None


def test_a_full_last_page_has_no_cursor(suppressions: Suppressions, runner: asyncio.Runner) -> None:
    assert runner.run(suppressions.page(cursor=None, limit=2)) == ([], None)
    for name in ("a", "b"):
        runner.run(suppressions.put(name, account=None, reason=None, by="crm"))
    found, cursor = runner.run(suppressions.page(cursor=None, limit=2))
    assert ([entry.key for entry in found], cursor) == (["a", "b"], None)


def test_entries_do_not_expire(
    store: redis.Redis, suppressions: Suppressions, runner: asyncio.Runner
) -> None:
    runner.run(suppressions.put("a", account=None, reason=None, by="crm"))
    assert {store.ttl(key) for key in store.scan_iter()} == {-1}
