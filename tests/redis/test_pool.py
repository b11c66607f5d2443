"""Connections to Redis on the event loop."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from typing import Any

import pytest
import redis
import uvloop
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


async def _yield_some_times(rng: random.Random) -> None:
    for _ in range(rng.randrange(40)):
        await asyncio.sleep(0)


def test_a_loop_over_redis_can_be_canceled_at_any_point(store_url: str) -> None:
    async def scenario() -> None:
        rng = random.Random(7)
        for _ in range(300):
            task = asyncio.create_task(_ping_on(store_url))
            await asyncio.sleep(0.001)
            await _yield_some_times(rng)
            # When
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=2)
            # Then
            assert done == {task}

    asyncio.run(scenario())


def _stop_reading_after_the_handshake(listening: socket.socket, done: threading.Event) -> None:
    """Answer a client's handshake, then read no more than the socket buffers hold."""
    with listening.accept()[0] as peer:
        while len(received := peer.recv(1000)) < 1000:
            reply = b"+PONG\r\n" if b"PING" in received else b"+OK\r\n"
            peer.sendall(reply * received.count(b"*"))
        done.wait(10)


def test_a_redis_that_stops_reading_raises_a_timeout() -> None:
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
        server = threading.Thread(target=_stop_reading_after_the_handshake, args=(listening, done))
        server.start()
        # As the processes do: on Python 3.13.0 asyncio's own loop does not wait for the peer
        uvloop.run(scenario(listening.getsockname()[1]))
        server.join()


@pytest.mark.parametrize("url", ["redis://host", "rediss://host", "unix:///a/socket"])
def test_every_kind_of_url_gets_a_cancelable_connection(url: str) -> None:
    async def scenario() -> None:
        pool = async_client(url, max_connections=1).connection_pool
        assert pool.connection_class in CANCELABLE_CONNECTIONS.values()

    asyncio.run(scenario())


def test_a_connection_is_usable_after_a_cancellation(store_url: str, store: redis.Redis) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.blpop(["nothing"], timeout=3)
        await client.set("key", b"value")
        assert store.get("key") == b"value"
        await client.aclose()

    asyncio.run(scenario())


def test_waiting_callers_are_served_in_order_of_arrival(store_url: str) -> None:
    async def scenario() -> None:
        pool: Any = async_client(store_url, max_connections=1).connection_pool
        order: list[str] = []

        async def use(name: str) -> None:
            connection = await pool.get_connection()
            order.append(name)
            await pool.release(connection)

        held = await pool.get_connection()
        waiting = [asyncio.create_task(use(name)) for name in ("first", "second", "third")]
        await asyncio.sleep(0)
        await pool.release(held)
        # When
        await use("late")
        await asyncio.gather(*waiting)
        # Then
        assert order == ["first", "second", "third", "late"]
        await pool.aclose()

    asyncio.run(scenario())


def test_many_callers_share_few_connections(store_url: str, store: redis.Redis) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=3)
        ids = await asyncio.gather(*(client.client_id() for _ in range(200)))
        assert len(set(ids)) == 3
        await client.aclose()

    asyncio.run(scenario())


def test_a_canceled_waiter_leaves_its_connection_to_the_next(store_url: str) -> None:
    async def scenario(iterations: int) -> None:
        client = async_client(store_url, max_connections=1)
        pool: Any = client.connection_pool
        held = await pool.get_connection()
        canceled = asyncio.create_task(pool.get_connection())
        await asyncio.sleep(0)
        releasing = asyncio.create_task(pool.release(held))
        for _ in range(iterations):
            await asyncio.sleep(0)
        canceled.cancel()
        await asyncio.wait([canceled, releasing])
        if not canceled.cancelled():  # it already had the connection
            await pool.release(canceled.result())
        assert await client.ping()
        await client.aclose()

    for iterations in range(5):
        asyncio.run(scenario(iterations))


def test_a_caller_that_gets_no_connection_in_time_raises_an_error(store_url: str) -> None:
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


def test_a_connection_closed_while_idle_is_reopened(store_url: str, store: redis.Redis) -> None:
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


def test_a_half_closed_connection_is_reopened(store_url: str) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        pool: Any = client.connection_pool
        connection = await pool.get_connection()
        await pool.release(connection)
        connection._parser.on_disconnect()  # the first step of redis-py when it closes one
        assert await client.ping()
        await client.aclose()

    asyncio.run(scenario())


def test_unsupported_values_raise_an_error(store_url: str) -> None:
    async def scenario() -> None:
        client = async_client(store_url, max_connections=1)
        for value in (None, True, ["a"]):
            with pytest.raises(DataError):
                await client.set("key", value)  # type: ignore[arg-type]
        with pytest.raises(UnicodeEncodeError):
            await client.set("key", "\ud800")
        await client.set("key", "Grüße \x00\r\n")
        assert await client.get("key") == "Grüße \x00\r\n".encode()
        await client.aclose()

    asyncio.run(scenario())
