"""How a worker uses imported sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.instagram.client import build_client, close_client
from actors.instagram.gateway import Gateway
from actors.instagram.options import ClientOptions
from deploy.local.instagram.client import FakeInstagram
from service.accounts.device_identity import device_of
from service.accounts.session_settings import user_pks
from service.accounts.session_validation import InvalidSession, check_document
from service.cli import main
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.session_store import SECRET
from tests.support.sessions import document


@pytest.fixture
def harness(
    fake_instagram: FakeInstagram,
    store: redis.Redis,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> GatewayHarness:
    """A gateway harness, and the environment in which its sessions are imported."""
    config = tmp_path / "heliograph.toml"
    config.write_text('[accounts.shop]\nusername = "shop"\npassword = "env:NEVER_SET"\n')
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(config))
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


async def dump_settings(
    harness: GatewayHarness, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What `dump_settings` writes after a login outside the service."""
    client = await build_client(harness.account().client, settings)
    try:
        await client.login("shop", PASSWORD)
        found: dict[str, Any] = json.loads(json.dumps(client.get_settings()))
        return found
    finally:
        await close_client(client)


def import_session(settings: dict[str, Any], directory: Path, *options: str) -> int:
    file = directory / "session.json"
    file.write_text(json.dumps(settings))
    return main(["session", "import", "shop", str(file), *options])


async def resolve(gateway: Gateway) -> None:
    await gateway.resolve("jenny.rosen")


def test_an_imported_session_needs_no_login(harness: GatewayHarness, tmp_path: Path) -> None:
    settings = asyncio.run(dump_settings(harness))
    assert import_session(settings, tmp_path) == 0
    harness.run(resolve)
    assert harness.login_outcomes() == ["ok"]
    assert len(harness.fake_instagram.devices()) == 1


def test_an_imported_instagrapi_file_is_completed_once(
    harness: GatewayHarness, tmp_path: Path
) -> None:
    settings = asyncio.run(dump_settings(harness))
    del settings["usdid"], settings["timezone_name"], settings["uuids"]["request_id"]
    assert import_session(settings, tmp_path) == 0
    harness.run(resolve)
    taken = harness.stored_session().settings
    assert taken["uuids"]["request_id"]
    harness.run(resolve)
    assert device_of(harness.stored_session().settings) == device_of(taken)
    assert harness.login_outcomes() == ["ok"]


def test_a_worker_uses_an_imported_session_from_its_next_call(
    harness: GatewayHarness, tmp_path: Path
) -> None:
    async def steps(gateway: Gateway) -> None:
        # Given an open client with an expired session, and a newer login on its device
        await resolve(gateway)
        harness.fake_instagram.expire_session("shop")
        device = (await asyncio.to_thread(harness.stored_session)).settings
        newer = await dump_settings(harness, {**device, "authorization_data": {}, "cookies": {}})
        seen = len(harness.fake_instagram.log())

        # When the newer login is imported
        assert await asyncio.to_thread(import_session, newer, tmp_path) == 0
        await resolve(gateway)

        # Then the next call already uses it
        assert [entry["call"] for entry in harness.fake_instagram.log()[seen:]] == ["usernameinfo"]

    harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]
    assert len(harness.fake_instagram.devices()) == 1


def test_renewing_an_imported_session_is_not_a_first_login(
    harness: GatewayHarness, tmp_path: Path
) -> None:
    firsts: list[bool] = []

    @asynccontextmanager
    async def guard(_account: Any, first: bool) -> AsyncIterator[str | None]:
        firsts.append(first)
        yield None

    # Given an imported session that has expired and does not say when it logged in
    settings = asyncio.run(dump_settings(harness))
    assert import_session({**settings, "last_login": None}, tmp_path) == 0
    harness.fake_instagram.expire_session("shop")
    # When a worker renews it
    harness.run(resolve, login_guard=guard)
    # Then that counts as a re-login, of which few are allowed
    assert firsts == [False]


async def identity_of(settings: dict[str, Any]) -> tuple[Any, Any]:
    """The user id and the headers of a client with these settings."""
    client = await build_client(ClientOptions(human_pace=False), settings)
    try:
        return client.user_id, dict(client.base_headers)
    finally:
        await close_client(client)


VALUES: tuple[Any, ...] = (None, "", "x", " ", 0, -1.5, 10**18, True, [], ["x"], {}, {"x": "y"})


@pytest.mark.parametrize("key", sorted(document()))
def test_every_accepted_session_builds_a_client_of_that_user(key: str) -> None:
    accepted = 0
    for value in VALUES:
        try:
            settings = check_document(document(**{key: value}), "shop")
        except InvalidSession:
            continue
        accepted += 1
        user_id, headers = asyncio.run(identity_of(settings))
        assert {str(user_id)} == user_pks(settings)
        assert all(str(header).isprintable() for header in headers.values())
    assert accepted or key == "uuids"
