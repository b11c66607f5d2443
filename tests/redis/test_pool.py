"""Connections to Redis on the event loop."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis.client import async_client
from service.redis.pool import CANCELABLE_CONNECTIONS


async def _ping_on(url: str) -> None:
    async with async_client(url, max_connections=1) as client:
        while True:
            await asyncio.sleep(0)
            await client.ping()


async def _some_turns_of_the_loop(dice: random.Random) -> None:
    for _ in range(dice.randrange(40)):
        await asyncio.sleep(0)


def test_a_cancel_reaches_a_loop_over_redis_wherever_it_is(store_url: str) -> None:
    async def scenario() -> None:
        dice = random.Random(7)
        for _ in range(300):
            task = asyncio.create_task(_ping_on(store_url))
            await asyncio.sleep(0.001)
            await _some_turns_of_the_loop(dice)
            # When
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=2)
            # Then
            assert done == {task}

    asyncio.run(scenario())


def _greet_and_listen_no_more(listening: socket.socket, done: threading.Event) -> None:
    """Answer what a client says first; of its first long command take what buffers hold."""
    with listening.accept()[0] as peer:
        while len(said := peer.recv(1000)) < 1000:
            reply = b"+PONG\r\n" if b"PING" in said else b"+OK\r\n"
            peer.sendall(reply * said.count(b"*"))
        done.wait(10)


def test_a_redis_that_takes_no_more_is_told_as_a_time_out() -> None:
    async def scenario(port: int) -> None:
        url = f"redis://127.0.0.1:{port}?protocol=2&socket_timeout=0.2"
        pool: Any = async_client(url, max_connections=1).connection_pool
        connection = await pool.get_connection()
        peer = connection._writer.get_extra_info("socket")
        with pytest.raises(RedisTimeoutError, match="Timeout writing"):
            await connection.send_command("SET", "key", b"x" * 50_000_000)
        done.set()
        async with asyncio.timeout(5):
            while peer.fileno() != -1:  # noqa: ASYNC110 - a socket has no event for its end
                await asyncio.sleep(0)

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        deaf = threading.Thread(target=_greet_and_listen_no_more, args=(listening, done))
        deaf.start()
        asyncio.run(scenario(listening.getsockname()[1]))
        deaf.join()


@pytest.mark.parametrize("url", ["redis://host", "rediss://host", "unix:///a/socket"])
def test_every_kind_of_url_gets_a_connection_of_ours(url: str) -> None:
    async def scenario() -> None:
        pool = async_client(url, max_connections=1).connection_pool
        assert pool.connection_class in CANCELABLE_CONNECTIONS.values()

    asyncio.run(scenario())


def test_a_connection_still_writes_after_it_was_canceled(
    store_url: str, store: redis.Redis
) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.blpop(["nothing"], timeout=3)
        await client.set("key", b"value")
        assert store.get("key") == b"value"
        await client.aclose()

    asyncio.run(scenario())


def test_who_waits_for_a_connection_is_not_overtaken(store_url: str) -> None:
    async def scenario() -> None:
        pool: Any = async_client(store_url, max_connections=1).connection_pool
        order: list[str] = []

        async def use(name: str) -> None:
            connection = await pool.get_connection()
            order.append(name)
            await pool.release(connection)

        held = await pool.get_connection()
        early = asyncio.create_task(use("early"))
        await asyncio.sleep(0)
        await pool.release(held)
        # When
        await use("late")
        await early
        # Then
        assert order == ["early", "late"]
        await pool.aclose()

    asyncio.run(scenario())


def test_many_callers_share_few_connections(store_url: str, store: redis.Redis) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=3)
        used = await asyncio.gather(*(client.client_id() for _ in range(200)))
        assert len(set(used)) == 3
        await client.aclose()

    asyncio.run(scenario())


def test_who_waits_no_more_leaves_the_connection_to_the_next(store_url: str) -> None:
    async def scenario(turns: int) -> None:
        client = async_client(store_url, max_connections=1)
        pool: Any = client.connection_pool
        held = await pool.get_connection()
        canceled = asyncio.create_task(pool.get_connection())
        await asyncio.sleep(0)
        giving_back = asyncio.create_task(pool.release(held))
        for _ in range(turns):
            await asyncio.sleep(0)
        canceled.cancel()
        await asyncio.wait([canceled, giving_back])
        if not canceled.cancelled():  # the cancel came when it had one already
            await pool.release(canceled.result())
        assert await client.ping()
        await client.aclose()

    for turns in range(5):
        asyncio.run(scenario(turns))


def test_a_caller_for_whom_there_is_none_is_told_in_time(store_url: str) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1, wait_seconds=0.05)
        pool: Any = client.connection_pool
        held = await pool.get_connection()
        with pytest.raises(RedisConnectionError, match="No connection available"):
            await client.ping()
        await pool.release(held)
        assert await client.ping()
        await client.aclose()

    asyncio.run(scenario())


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_anew(
    store_url: str, store: redis.Redis
) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        pool: Any = client.connection_pool
        number = await client.client_id()
        connection = await pool.get_connection()
        await pool.release(connection)
        store.client_kill_filter(_id=str(number))
        async with asyncio.timeout(5):
            while not await connection.can_read():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
        assert await client.client_id() != number
        await client.aclose()

    asyncio.run(scenario())


def test_a_connection_that_is_half_closed_is_made_anew(store_url: str) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        pool: Any = client.connection_pool
        connection = await pool.get_connection()
        await pool.release(connection)
        connection._parser.on_disconnect()  # as far as redis-py comes first when it closes one
        assert await client.ping()
        await client.aclose()

    asyncio.run(scenario())


def test_no_value_is_written_as_something_else(store_url: str) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        for refused in (None, True, ["a"]):
            with pytest.raises(DataError):
                await client.set("key", refused)  # type: ignore[arg-type]
        with pytest.raises(UnicodeEncodeError):
            await client.set("key", "\ud800")
        await client.set("key", "Grüße \x00\r\n")
        assert await client.get("key") == "Grüße \x00\r\n".encode()
        await client.aclose()

    asyncio.run(scenario())
