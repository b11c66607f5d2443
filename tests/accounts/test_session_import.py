"""Imported sessions: which stored sessions they replace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from service.accounts.session_import import (
    Imported,
    OtherDevice,
    OtherUser,
    import_session,
)
from service.accounts.session_store import (
    DeviceChanged,
    SessionConflict,
    SessionStore,
    SessionUnreadable,
    StoredSession,
)
from service.accounts.session_validation import (
    check_document,
)
from tests.support.session_store import open_session_store
from tests.support.sessions import CANARY, document, of_device, of_user

OTHER_SECRET = "another secret key of forty characters.."


@pytest.fixture
def server(store: redis.Redis, store_url: str) -> str:
    assert store.dbsize() == 0
    return store_url


def run(server: str, steps: Callable[[SessionStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with open_session_store(server) as (sessions, _):
            await steps(sessions)

    asyncio.run(opened())


def test_the_first_session_of_an_account_is_stored(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        assert await import_session(sessions, "a", "shop", document()) == Imported(1, False)
        stored = await sessions.load("a", "shop")
        assert stored == StoredSession(check_document(document(), "shop"), 1)

    run(server, steps)


def test_a_newer_login_of_the_same_device_replaces_the_stored_session(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        newer = document(last_login=1796000000, mid="another")
        assert await import_session(sessions, "a", "shop", newer) == Imported(2, False)
        stored = await sessions.load("a", "shop")
        assert stored is not None
        assert (stored.version, stored.settings["mid"]) == (2, "another")

    run(server, steps)


def test_an_unnecessary_reset_is_not_reported_as_one(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        for version in (1, 2):
            imported = await import_session(sessions, "a", "shop", document(), reset_device=True)
            assert imported == Imported(version, False)

    run(server, steps)


def test_another_device_is_rejected_unless_a_reset_is_requested(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        other = of_device("new", locale="de_DE")

        # When no reset is requested
        with pytest.raises(OtherDevice) as raised:
            await import_session(sessions, "a", "shop", other)
        assert sorted(raised.value.traits) == ["locale", "uuids.phone_id"]
        assert "locale" in str(raised.value)
        assert CANARY not in str(raised.value)
        assert await sessions.version("a") == 1

        # When a reset is requested
        imported = await import_session(sessions, "a", "shop", other, reset_device=True)
        assert imported == Imported(2, True)

    run(server, steps)


def test_an_older_file_without_the_devices_keys_is_another_device(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        with pytest.raises(OtherDevice, match=r"usdid\.private_key"):
            await import_session(sessions, "a", "shop", document(usdid=None))

    run(server, steps)


def test_another_users_session_is_rejected_even_from_the_same_device(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        for wrong in (of_user("77"), of_user("77") | of_device("new") | of_user("77")):
            with pytest.raises(OtherUser):
                await import_session(sessions, "a", "shop", wrong)
        assert await sessions.version("a") == 1
        imported = await import_session(sessions, "a", "shop", of_user("77"), reset_device=True)
        assert imported == Imported(2, False)

    run(server, steps)


def test_a_stored_device_that_never_logged_in_accepts_any_user(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await sessions.save("a", "shop", document(authorization_data={}, cookies={}), version=0)
        assert (await import_session(sessions, "a", "shop", document())).version == 2

    run(server, steps)


@pytest.mark.parametrize(("secret", "username"), [(OTHER_SECRET, "shop"), (None, "other.shop")])
def test_an_unreadable_session_is_replaced_only_if_a_reset_is_requested(
    server: str, secret: str | None, username: str
) -> None:
    async def steps(sessions: SessionStore) -> None:
        async with open_session_store(server, *([secret] if secret else [])) as (other_sessions, _):
            await import_session(other_sessions, "a", username, document())
        with pytest.raises(SessionUnreadable):
            await import_session(sessions, "a", "shop", document())
        assert await sessions.version("a") == 1
        imported = await import_session(sessions, "a", "shop", document(), reset_device=True)
        assert imported == Imported(2, True)
        assert await sessions.load("a", "shop") is not None

    run(server, steps)


class RacedStore(SessionStore):
    """A store in which a worker saves a session after every load."""

    async def load(self, account: str, username: str) -> StoredSession | None:
        loaded = await super().load(account, username)
        version = loaded.version if loaded else 0
        await super().save(
            account, username, of_device("worker"), version=version, reset_device=True
        )
        return loaded


@pytest.mark.parametrize("reset_device", [False, True])
def test_a_session_saved_by_a_worker_meanwhile_is_not_overwritten(
    server: str, reset_device: bool
) -> None:
    async def steps(sessions: SessionStore) -> None:
        raced_store = RacedStore(sessions._redis, sessions._cipher)
        with pytest.raises((SessionConflict, DeviceChanged)) as raised:
            await import_session(raced_store, "a", "shop", document(), reset_device=reset_device)
        assert not isinstance(raised.value, OtherDevice)
        stored = await sessions.load("a", "shop")
        assert stored is not None
        assert stored.settings["uuids"]["phone_id"] == f"{CANARY}-worker"

    run(server, steps)
