"""Stored sessions: encrypted, never lost to a race, one device for life."""

from __future__ import annotations

import asyncio
import copy
import datetime
import json
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import InvalidToken

from service.accounts.device_identity import changed_traits
from service.accounts.encryption import derive_keys
from service.accounts.session_store import (
    DeviceChanged,
    SessionConflict,
    SessionStore,
    SessionUnreadable,
)
from service.encryption.keys import SecretKeyInvalid
from tests.support.session_store import SECRET, open_session_store

OTHER_SECRET = "another secret key of forty characters.."

SETTINGS: dict[str, Any] = {
    "uuids": {"phone_id": "p-1", "uuid": "u-1", "android_device_id": "android-1"},
    "device_settings": {"model": "Pixel 8 Pro", "bloks_versioning_id": "b-1"},
    "usdid": {"usdid": "x-1", "private_key": "PEM", "registered": False},
    "user_agent": "Instagram 449",
    "locale": "en_US",
    "timezone_offset": 0,
    "cookies": {"sessionid": "very-secret-session"},
    "authorization_data": {},
}


@pytest.fixture
def server(store: redis.Redis, store_url: str) -> str:
    assert store.dbsize() == 0
    return store_url


@pytest.fixture
def account(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def run(
    server: str, steps: Callable[[SessionStore, Any], Awaitable[None]], secret: str = SECRET
) -> None:
    async def opened() -> None:
        async with open_session_store(server, secret) as (sessions, redis):
            await steps(sessions, redis)

    asyncio.run(opened())


def test_a_saved_session_is_loaded_with_its_version(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        assert await sessions.load(account, "shop") is None
        assert await sessions.save(account, "shop", SETTINGS, version=0) == 1
        stored = await sessions.load(account, "Shop")
        assert stored is not None
        assert (stored.settings, stored.version) == (SETTINGS, 1)
        assert await sessions.version(account) == 1

    run(server, steps)


def test_stored_values_reveal_nothing(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, client: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)
        await sessions.save(account, "shop", SETTINGS, version=1)
        values = [await client.hget(f"hg:session:{account}", "blob")]
        values += await client.lrange(f"hg:session:{account}:earlier", 0, -1)
        assert len(values) == 2
        for value in values:
            assert b"secret" not in value
            assert b"shop" not in value

    run(server, steps)


def test_a_stored_sessions_repr_hides_its_settings(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)
        stored = await sessions.load(account, "shop")
        assert "secret" not in repr(stored)
        assert "secret" not in repr(sessions)

    run(server, steps)


def test_only_the_first_save_of_a_version_succeeds(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)
        results = await asyncio.gather(
            *(
                sessions.save(account, "shop", SETTINGS | {"mid": str(n)}, version=1)
                for n in range(5)
            ),
            return_exceptions=True,
        )
        assert [result for result in results if result == 2] == [2]
        assert sum(isinstance(result, SessionConflict) for result in results) == 4
        with pytest.raises(SessionConflict, match="load it and try again"):
            await sessions.save(account, "shop", SETTINGS, version=0)

    run(server, steps)


def test_a_session_encrypted_with_another_key_is_unreadable_and_not_overwritten(
    server: str, account: str
) -> None:
    async def first(sessions: SessionStore, _: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)

    async def second(sessions: SessionStore, _: Any) -> None:
        with pytest.raises(SessionUnreadable, match="SECRET_KEY") as raised:
            await sessions.load(account, "shop")
        assert OTHER_SECRET not in str(raised.value)
        with pytest.raises(SessionUnreadable):
            await sessions.save(account, "shop", SETTINGS, version=1)
        version = await sessions.version(account)
        await sessions.save(account, "shop", SETTINGS, version=version, reset_device=True)
        assert await sessions.load(account, "shop") is not None

    run(server, first)
    run(server, second, OTHER_SECRET)


def test_a_session_belongs_to_its_username(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)
        with pytest.raises(SessionUnreadable, match="another username"):
            await sessions.load(account, "other.shop")

    run(server, steps)


def test_a_corrupt_session_is_unreadable(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, client: Any) -> None:
        cipher = derive_keys(SECRET)
        for blob in (b"garbage", cipher.encrypt(b"x"), cipher.encrypt(zlib.compress(b"x"))):
            await client.hset(f"hg:session:{account}", mapping={"version": 3, "blob": blob})
            with pytest.raises(SessionUnreadable):
                await sessions.load(account, "shop")

    run(server, steps)


@pytest.mark.parametrize(
    "path",
    [
        ("uuids", "phone_id"),
        ("device_settings", "model"),
        ("usdid", "private_key"),
        ("user_agent",),
        ("locale",),
        ("timezone_offset",),
    ],
)
def test_a_save_that_changes_the_device_is_rejected(
    server: str, account: str, path: tuple[str, ...]
) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        await sessions.save(account, "shop", SETTINGS, version=0)
        other = copy.deepcopy(SETTINGS)
        parent = other
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = "other"
        with pytest.raises(DeviceChanged, match=path[-1]):
            await sessions.save(account, "shop", other, version=1)
        del parent[path[-1]]
        with pytest.raises(DeviceChanged):
            await sessions.save(account, "shop", other, version=1)
        assert await sessions.save(account, "shop", other, version=1, reset_device=True) == 2

    run(server, steps)


def test_a_device_may_gain_traits_and_register_its_key() -> None:
    richer = copy.deepcopy(SETTINGS)
    richer["uuids"]["request_id"] = "r-1"
    richer["usdid"]["registered"] = True
    richer["device_settings"]["bloks_versioning_id"] = "b-2"
    richer["cookies"] = {"sessionid": "next"}
    assert changed_traits(SETTINGS, richer) == []
    assert changed_traits(richer, SETTINGS) == ["uuids.request_id"]


def test_the_three_previous_sessions_are_kept_encrypted(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, client: Any) -> None:
        for version in range(6):
            await sessions.save(account, "shop", SETTINGS | {"mid": version}, version=version)
        blobs = await client.lrange(f"hg:session:{account}:earlier", 0, -1)
        records = [json.loads(zlib.decompress(derive_keys(SECRET).decrypt(blob))) for blob in blobs]
        assert [record["settings"]["mid"] for record in records] == [4, 3, 2]

    run(server, steps)


def test_values_that_json_does_not_know_are_converted(server: str, account: str) -> None:
    async def steps(sessions: SessionStore, _: Any) -> None:
        odd: dict[Any, Any] = SETTINGS | {
            "path": Path("/x"),
            "when": datetime.date(2026, 1, 1),
            "raw": b"abc",
            "set": {2, 1},
            "tuple": (1, 2),
            5: "five",
        }
        await sessions.save(account, "shop", odd, version=0)
        stored = await sessions.load(account, "shop")
        assert stored is not None
        assert stored.settings["path"] == "/x"
        assert stored.settings["when"] == "2026-01-01"
        assert stored.settings["raw"] == "abc"
        assert stored.settings["set"] == [1, 2]
        assert stored.settings["tuple"] == [1, 2]
        assert stored.settings["5"] == "five"
        assert await sessions.save(account, "shop", odd, version=1) == 2

    run(server, steps)


def test_keys_are_rotated_by_appending_and_then_moving_to_the_front() -> None:
    old, new = SECRET, OTHER_SECRET
    written_before = derive_keys(old).encrypt(b"session")
    appended = derive_keys(f"{old}, {new}")
    assert appended.decrypt(written_before) == b"session"
    assert derive_keys(old).decrypt(appended.encrypt(b"session")) == b"session"
    turned = derive_keys(f"{new},{old}")
    assert turned.decrypt(written_before) == b"session"
    with pytest.raises(InvalidToken):
        derive_keys(old).decrypt(turned.encrypt(b"session"))


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, f"{'x' * 32},short", f"{'x' * 32},"])
def test_a_short_secret_key_is_rejected_by_position_and_length(secret: str) -> None:
    with pytest.raises(SecretKeyInvalid, match=r"SECRET_KEY .* has \d+") as raised:
        derive_keys(secret)
    assert "short" not in str(raised.value)
