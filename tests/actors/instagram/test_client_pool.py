"""The client pool: clients are built off the loop, closed when idle and never mixed."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from actors.instagram.client import InstagramClient, build_client, close_client
from actors.instagram.client_pool import GatewayPool
from actors.instagram.idempotency_tokens import write_token
from actors.instagram.options import ClientOptions, UnknownAccount
from deploy.local.certificates import issue
from deploy.local.instagram.client import FakeInstagram
from deploy.local.proxy import ConnectProxy
from deploy.local.wait import until
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.session_store import open_session_store

NAMES = ["one", "two", "three", "four"]
NEVER = 3600.0


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    for name in NAMES:
        fake_instagram.add_account(name, PASSWORD)
    return GatewayHarness(fake_instagram, store_url)


@asynccontextmanager
async def open_pool(harness: GatewayHarness, **options: Any) -> AsyncIterator[GatewayPool]:
    accounts = {name: harness.account(name=name, username=name) for name in NAMES}
    async with open_session_store(harness.store_url) as (vault, _):
        pool = GatewayPool(accounts, vault, **options)
        try:
            yield pool
        finally:
            await pool.close_all()


async def use(pool: GatewayPool, *names: str) -> None:
    """Make one lookup with each account, one after the other."""
    for name in names:
        with pool.acquire(name) as gateway:
            await gateway.resolve("jenny.rosen")


def open_clients(pool: GatewayPool) -> set[str]:
    """The accounts whose clients are open."""
    return {name for name, entry in pool._gateways.items() if entry._session._client is not None}


def test_the_pool_creates_one_gateway_per_account(harness: GatewayHarness) -> None:
    async def steps() -> None:
        async with open_pool(harness) as pool:
            with pool.acquire("one") as one, pool.acquire("one") as again:
                assert one is again
                await one.ensure_login()
            with pytest.raises(UnknownAccount, match="nobody"):
                pool.acquire("nobody")
            await pool.close_all()

    asyncio.run(steps())
    assert harness.login_outcomes() == ["ok"]


def test_an_idle_client_is_closed_and_rebuilt_without_a_login_on_the_same_device(
    harness: GatewayHarness,
) -> None:
    async def steps() -> None:
        async with open_pool(harness, idle_seconds=0.0) as pool:
            for _ in range(3):
                await use(pool, "one")
                assert open_clients(pool) == {"one"}
                await pool.close_idle()
                assert open_clients(pool) == set()

    asyncio.run(steps())
    assert harness.login_outcomes() == ["ok"]
    assert (
        len([entry for entry in harness.fake_instagram.devices() if entry["account"] == "one"]) == 1
    )


def test_least_recently_used_clients_are_closed_first(harness: GatewayHarness) -> None:
    async def steps() -> None:
        async with open_pool(harness, idle_seconds=NEVER, max_idle=2) as pool:
            await use(pool, "one", "two", "three", "four", "one")
            await pool.close_idle()
            assert open_clients(pool) == {"four", "one"}

    asyncio.run(steps())


def test_a_client_in_use_is_never_closed(
    harness: GatewayHarness,
) -> None:
    async def steps() -> None:
        async with open_pool(harness, idle_seconds=0.0, max_idle=0) as pool:
            # Given a client that was idle before and now has two users
            await use(pool, "one")
            with pool.acquire("one") as gateway:
                client = gateway._session._client
                await use(pool, "one", "two")
                await pool.close_idle()
                assert open_clients(pool) == {"one"}
                assert gateway._session._client is client
            await pool.close_idle()
            assert open_clients(pool) == set()

    asyncio.run(steps())


def test_a_client_stays_open_until_its_session_can_be_saved(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    async def steps() -> None:
        async with open_pool(harness, idle_seconds=0.0) as pool:
            await use(pool, "one")
            # Given a new login that could not be stored
            store.delete("hg:session:one:earlier")
            store.set("hg:session:one:earlier", "not a list: the save fails")
            harness.fake_instagram.expire_session("one")
            await use(pool, "one")
            await pool.close_idle()
            assert open_clients(pool) == {"one"}
            # When the store works again
            store.delete("hg:session:one:earlier")
            await pool.close_idle()
            assert open_clients(pool) == set()
            await use(pool, "one")

    asyncio.run(steps())
    # Then the login was not lost with the client
    assert harness.login_outcomes() == ["ok", "ok"]


def test_idle_clients_are_closed_periodically(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.instagram.client_pool.CLOSE_IDLE_SECONDS", 0.01)

    async def steps() -> None:
        async with open_pool(harness, idle_seconds=0.1) as pool, pool.closing_idle():
            await use(pool, "one", "two")
            await asyncio.to_thread(
                until, lambda: not open_clients(pool), 30, "the end of the clients"
            )

    asyncio.run(steps())


async def longest_block(task: asyncio.Future[Any]) -> float:
    """The most CPU seconds this process spends between two turns of the loop until a task ends.

    CPU time, because on a loaded machine the process itself may have to wait.
    """
    longest = 0.0
    while not task.done():
        before = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - before)
    return longest


def test_building_many_clients_does_not_block_the_loop() -> None:
    async def steps() -> float:
        # Given certifi's certificates, as in a deployment, which the first client reads
        await close_client(await build_client(ClientOptions()))
        building = asyncio.gather(*(build_client(ClientOptions()) for _ in range(200)))
        longest = await longest_block(building)
        for client in await building:
            await close_client(client)
        return longest

    # A full collection of the test process' heap would count as well
    gc.collect()
    gc.freeze()
    try:
        assert asyncio.run(steps()) < 0.05
    finally:
        gc.unfreeze()


def test_an_account_has_one_connection_at_a_time(fake_instagram: FakeInstagram) -> None:
    options = ClientOptions(fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False)
    pk = fake_instagram.add_user("somebody")

    async def steps() -> None:
        client = await build_client(options)
        await client.login("shop", PASSWORD)
        for n in range(3):
            await client.user_info_by_username_v1("somebody")
            with write_token(f"job_{n}:1"):
                await client.direct_send("text", user_ids=[int(pk)])
            private = {
                entry["id"] for entry in fake_instagram.connects() if entry["outcome"] == "open"
            }
            used = {
                entry["connection"]
                for entry in fake_instagram.log()
                if entry["http_version"] == "2"
            }
            assert len(private & used) == 1
        await close_client(client)

    asyncio.run(steps())


def test_calls_work_after_earlier_ones_timed_out(
    fake_instagram: FakeInstagram,
) -> None:
    options = ClientOptions(fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False)
    pk = fake_instagram.add_user("somebody")

    async def steps() -> None:
        client = await build_client(options)
        await client.login("shop", PASSWORD)
        fake_instagram.fault("broadcast_text", "hang", times=None)
        fake_instagram.fault("usernameinfo", "hang")
        for _ in range(3):
            with pytest.raises(TimeoutError), write_token("job_a:1"):
                async with asyncio.timeout(0.5):
                    await client.direct_send("text", user_ids=[int(pk)])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.user_info_by_username_v1("somebody")
        async with asyncio.timeout(5):
            assert (await client.user_info_by_username_v1("somebody")).pk == pk
        await close_client(client)

    asyncio.run(steps())


# Nothing links an account to another one


@asynccontextmanager
async def resumption_server(directory: Path) -> AsyncIterator[tuple[ClientOptions, list[bool]]]:
    """Accept TLS connections; yields options that lead there and whether each one was resumed."""
    files = issue(directory, ["*.instagram.com"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.leaf, files.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    resumed: list[bool] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await reader.read(64)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    address = server.sockets[0].getsockname()
    proxy = ConnectProxy(lambda _host, _port: address)
    await proxy.start()
    try:
        url = f"http://127.0.0.1:{proxy.port}"
        yield ClientOptions(url, str(files.ca), human_pace=False), resumed
    finally:
        await proxy.close()
        server.close()


async def connect(client: InstagramClient, session: str) -> None:
    """Make a TLS handshake; the server then closes the connection."""
    with pytest.raises(httpx.TransportError):
        await getattr(client, session).get("https://i.instagram.com/")


@pytest.mark.parametrize("session", ["private", "public", "graphql"])
def test_no_tls_session_of_one_account_is_resumed_by_another(tmp_path: Path, session: str) -> None:
    async def steps() -> None:
        async with resumption_server(tmp_path) as (options, resumed):
            clients = [await build_client(options) for _ in range(3)]
            for client in clients:
                await connect(client, session)
            assert resumed == [False] * 3
            for client in clients:
                await close_client(client)

    asyncio.run(steps())


def test_an_account_resumes_its_own_tls_session(tmp_path: Path) -> None:
    async def steps() -> None:
        async with resumption_server(tmp_path) as (options, resumed):
            client = await build_client(options)
            await connect(client, "private")
            await connect(client, "private")
            assert resumed == [False, True]
            await close_client(client)

    asyncio.run(steps())
