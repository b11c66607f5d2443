"""What differs from the library's client: proxy, resends, idempotency tokens and logging."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import pytest
from aiograpi import exceptions as ig

from actors.instagram.client import InstagramClient, build_client, close_client
from actors.instagram.idempotency_tokens import client_context_for, creation_key_for, write_token
from actors.instagram.options import ClientOptions
from actors.instagram.request_deadline import CallOverdueError, request_deadline
from deploy.local.instagram.client import FakeInstagram

POST = "3700000000000000001"
PASSWORD = "shop-password"


@asynccontextmanager
async def open_client(
    options: ClientOptions, settings: dict[str, Any] | None = None
) -> AsyncIterator[InstagramClient]:
    client = await build_client(options, settings)
    try:
        yield client
    finally:
        await close_client(client)


def options_for(fake_instagram: FakeInstagram) -> ClientOptions:
    return ClientOptions(fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False)


@asynccontextmanager
async def listening_port() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on a port; yields it and the first bytes of each connection."""
    received: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(64))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], received
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("session", ["public", "graphql", "private"])
def test_proxies_from_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, session: str
) -> None:
    async def steps() -> None:
        async with listening_port() as (proxy, proxied), listening_port() as (target, direct):
            for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            async with open_client(ClientOptions(human_pace=False)) as client:
                with pytest.raises(httpx.TransportError):
                    await getattr(client, session).get(f"https://127.0.0.1:{target}/")
            assert proxied == []
            assert len(direct) == 1

    asyncio.run(steps())


def test_with_a_proxy_all_requests_go_through_it(
    monkeypatch: pytest.MonkeyPatch, fake_instagram: FakeInstagram
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")

    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)

    asyncio.run(steps())
    assert {entry["host"] for entry in fake_instagram.log()} == {
        "i.instagram.com",
        "b.i.instagram.com",
    }
    assert len(fake_instagram.log()) == 8


def test_writes_use_fresh_connections_and_reads_reuse_them(fake_instagram: FakeInstagram) -> None:
    pk = fake_instagram.add_user("somebody")

    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            for n in range(3):
                await client.user_info_by_username_v1("somebody")
                with write_token(f"job_{n}:1"):
                    await client.direct_send("text", user_ids=[int(pk)])

    asyncio.run(steps())
    seen: set[int | None] = set()
    for entry in fake_instagram.log():
        if entry["call"] == "broadcast_text":
            assert entry["connection"] not in seen
        if entry["call"] == "usernameinfo":
            assert entry["connection"] in seen
        seen.add(entry["connection"])


def test_no_request_starts_after_the_deadline(fake_instagram: FakeInstagram) -> None:
    left = [5.0]

    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            with request_deadline(lambda: left[0]):
                await client.login("shop", PASSWORD)
                left[0] = 0.0
                for call in (client.account_info(), client.password_publickeys()):
                    with pytest.raises(CallOverdueError):
                        await call

    asyncio.run(steps())
    assert {entry["call"] for entry in fake_instagram.log()} & {"current_user"} == set()


@pytest.mark.parametrize("fresh", [True, False], ids=["new connection", "open connection"])
def test_a_request_that_is_overdue_by_the_time_it_would_be_sent_is_not_sent(
    fake_instagram: FakeInstagram, fresh: bool
) -> None:
    # Given a process that is frozen between the check before a request and its first byte
    checks = iter([5.0])

    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            token = write_token("job_a:1") if fresh else nullcontext()
            # Then it notices when it wakes up
            deadline = request_deadline(lambda: next(checks, 0.0))
            with deadline, token, pytest.raises(CallOverdueError):
                await client.account_info()
            # And the client is as good as before
            await client.account_info()

    asyncio.run(steps())
    assert [each["call"] for each in fake_instagram.log()].count("current_user") == 1


@pytest.mark.parametrize("status", [307, 308, 408])
def test_a_stored_write_is_not_resent_on_redirects_or_408(
    fake_instagram: FakeInstagram, status: int
) -> None:
    pk = fake_instagram.add_user("somebody")
    here = "https://i.instagram.com/api/v1/direct_v2/threads/broadcast/text/"
    fake_instagram.fault("broadcast_text", status_after_effect=status, location=here)

    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            with pytest.raises(ig.ClientError), write_token("job_a:1"):
                async with asyncio.timeout(5):
                    await client.direct_send("text", user_ids=[int(pk)])

    asyncio.run(steps())
    assert len(fake_instagram.dms()) == 1


def test_redirects_stay_off_after_settings_are_loaded() -> None:
    async def steps() -> None:
        async with open_client(ClientOptions(human_pace=False)) as client:
            client.set_settings(client.exportable_settings)
            assert client.private._client.follow_redirects is False

    asyncio.run(steps())


def test_a_failed_page_is_not_requested_again_without_its_cursor(
    fake_instagram: FakeInstagram,
) -> None:
    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            pk = str(client.user_id)
            _, second = await client.user_followers_v1_chunk(pk, max_amount=200)
            page, _ = await client.user_followers_v1_chunk(pk, max_amount=200, max_id=second)
            assert page
            before = len(fake_instagram.log("followers"))
            fake_instagram.fault("followers", error="server_error")
            with pytest.raises(ig.ClientUnknownError):
                await client.user_followers_v1_chunk(pk, max_amount=200, max_id=second)
            assert len(fake_instagram.log("followers")) == before + 1

    asyncio.run(steps())


def test_a_408_is_neither_slept_on_nor_resent(fake_instagram: FakeInstagram) -> None:
    async def steps() -> None:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            fake_instagram.fault("usernameinfo", status=408)
            async with asyncio.timeout(5):
                with pytest.raises(ig.ClientRequestTimeout):
                    await client.user_info_by_username_v1("jenny.rosen")

    asyncio.run(steps())
    assert len(fake_instagram.log("usernameinfo")) == 1


def test_concurrent_writes_each_use_their_own_tokens(
    fake_instagram: FakeInstagram,
) -> None:
    pk = fake_instagram.add_user("somebody")
    barrier = asyncio.Barrier(3)

    async def write(client: InstagramClient, token: str) -> tuple[str, str]:
        with write_token(token):
            await barrier.wait()
            mutation = client.generate_mutation_token()
            await client.direct_send(token, user_ids=[int(pk)])
            await client.media_comment(POST, token)
            return mutation, client.generate_uuid()

    async def steps() -> list[tuple[str, str]]:
        async with open_client(options_for(fake_instagram)) as one:
            await one.login("shop", PASSWORD)
            settings = one.exportable_settings
            async with (
                open_client(options_for(fake_instagram), settings) as two,
                open_client(options_for(fake_instagram), settings) as three,
            ):
                tokens = ["job_x:1", "job_y:1", "job_x:1"]
                writes = zip((one, two, three), tokens, strict=True)
                return await asyncio.gather(*(write(*entry) for entry in writes))

    (x, fresh_x), (y, _), (again, fresh_again) = asyncio.run(steps())
    assert x == again == client_context_for("job_x:1") != y
    assert fresh_x != fresh_again
    for dm in fake_instagram.dms():
        assert dm["client_context"] == client_context_for(dm["text"])
    for comment in fake_instagram.comments():
        assert comment["idempotence_token"] == creation_key_for(comment["text"])


def test_tokens_are_random_outside_a_write() -> None:
    async def steps() -> None:
        async with open_client(ClientOptions(human_pace=False)) as client:
            assert client.generate_mutation_token() != client.generate_mutation_token()
            assert client.generate_uuid() != client.generate_uuid()
            assert client.generate_uuid("a-", "-z").startswith("a-")

    asyncio.run(steps())


def test_process_settings_come_from_the_options_only(
    fake_instagram: FakeInstagram,
) -> None:
    foreign = {
        "request_timeout": 9,
        "tls_verify": "/nowhere/ca.pem",
        "private_transport": "requests",
        "public_transport": "curl",
    }

    async def steps() -> None:
        async with open_client(options_for(fake_instagram), foreign) as client:
            assert client.request_timeout == 0
            assert client.tls_verify == str(fake_instagram.ca_path)
            assert client.private_transport == "curl"
            assert set(foreign).isdisjoint(client.exportable_settings)
        async with open_client(ClientOptions(), foreign) as client:
            assert client.request_timeout == 1
            assert client.tls_verify is True

    asyncio.run(steps())


def test_a_required_password_change_does_not_prompt_on_a_terminal() -> None:
    async def steps() -> None:
        async with open_client(ClientOptions(human_pace=False)) as client:
            with pytest.raises(ig.ChallengeRequired):
                await client.change_password_handler("shop")
            assert await client.challenge_code_handler("shop", "email", challenge_url="x") == ""

    asyncio.run(steps())


def test_the_library_logs_no_headers_or_bodies(
    fake_instagram: FakeInstagram, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def steps() -> str:
        async with open_client(options_for(fake_instagram)) as client:
            await client.login("shop", PASSWORD)
            fake_instagram.fault("usernameinfo", error="not_json")
            with pytest.raises(ig.ClientJSONDecodeError):
                await client.user_info_by_username_v1("jenny.rosen")
            return str(client.sessionid)

    sessionid = asyncio.run(steps())
    assert "doctype" not in caplog.text
    for secret in (PASSWORD, sessionid, "Bearer", "PWD_INSTAGRAM"):
        assert secret not in caplog.text


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_cancellation_while_closing_is_not_swallowed(
    fake_instagram: FakeInstagram, turns: int
) -> None:
    async def steps() -> None:
        client = await build_client(options_for(fake_instagram))
        await client.login("shop", PASSWORD)
        # Given a close that has got as far as so many turns of the loop lead
        closing = asyncio.create_task(close_client(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        # When it is cancelled
        closing.cancel()
        await asyncio.wait({closing}, timeout=5)
        # Then its task ends cancelled, and the connections are closed nevertheless
        assert closing.cancelled()
        assert client.private._client.is_closed

    asyncio.run(steps())
