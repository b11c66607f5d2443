"""Group commit: concurrent calls share a round trip, and nothing else."""

from __future__ import annotations

import asyncio
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import redis
import redis.asyncio as aredis
from redis.exceptions import ResponseError

from deploy.local.wait import until
from service.jobs.lua.builder import Script, build_script
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.group_commit import (
    MOST_BYTES,
    MOST_BYTES_AT_ONCE,
    MOST_UNDER_WAY,
    MOST_WAITING,
    GroupCommit,
)
from service.jobs.lua.runner import Scripts
from service.redis.causes import Overloaded
from service.redis.client import async_client
from tests.support.ledger import TIMES

#: Counts its calls and its runs; replies to `bad` with an error.
SCRIPT = """#!lua
redis.call('INCR', 'runs')
local replies = {}
for i, word in ipairs(ARGV) do
  replies[i] = word == 'bad' and redis.error_reply('refused') or {redis.call('INCR', 'count'), word}
end
return replies
"""


class OneScript(Scripts):
    """Runs one script under any name.

    Parameters:
      client: The event loop's Redis client.
      body: The script.
    """

    def __init__(self, client: aredis.Redis, body: str) -> None:
        super().__init__(client, TIMES)
        self._script = build_script(body, TIMES)

    def script(self, _name: str) -> Script:
        return self._script


def call(word: str) -> ScriptCall[Any]:
    return ScriptCall("body", (word,), lambda reply: reply)


def group_commit(client: aredis.Redis, body: str) -> GroupCommit:
    """A group commit of one script."""
    return GroupCommit(OneScript(client, body))


def _with(
    url: str,
    steps: Callable[[GroupCommit, aredis.Redis], Awaitable[Any]],
    connections: int = 1,
) -> Any:
    async def run() -> Any:
        client = async_client(url, max_connections=connections)
        try:
            return await steps(group_commit(client, SCRIPT), client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def test_each_caller_of_a_batch_gets_its_own_reply(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        return await asyncio.gather(*(commit.run(call(f"caller {n}")) for n in range(250)))

    replies = _with(store_url, steps)
    assert [reply[1].decode() for reply in replies] == [f"caller {n}" for n in range(250)]
    assert store.get("count") == b"250"
    assert int(cast(bytes, store.get("runs"))) < 10


def test_large_calls_share_a_round_trip_with_few_others(store: redis.Redis, store_url: str) -> None:
    word = "x" * (MOST_BYTES_AT_ONCE // 2)

    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        return await asyncio.gather(
            *(commit.run(call(word)) for _ in range(4)), commit.run(call(word * 4))
        )

    assert [reply[0] for reply in _with(store_url, steps)] == [1, 2, 3, 4, 5]
    assert store.get("runs") == b"3"


def test_calls_made_right_after_a_reply_are_served(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> None:
        async def caller() -> None:
            for _ in range(300):
                await commit.run(call("again"))

        async with asyncio.timeout(30):
            await asyncio.gather(*(caller() for _ in range(3)))

    _with(store_url, steps, connections=MOST_UNDER_WAY + 1)
    assert store.get("count") == b"900"


def test_a_rejected_call_does_not_affect_another(store_url: str, store: redis.Redis) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        calls = [commit.run(call(word)) for word in ("good", "bad", "good")]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = _with(store_url, steps)
    assert (first[0], third[0]) == (1, 2)
    assert isinstance(second, ResponseError)


def test_a_script_dropped_by_the_store_is_loaded_again(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        await commit.run(call("before"))
        store.function_flush()
        return await asyncio.gather(*(commit.run(call("after")) for _ in range(3)))

    assert [reply[0] for reply in _with(store_url, steps)] == [2, 3, 4]


def test_the_next_batch_does_not_wait_for_the_previous_reply(
    store: redis.Redis, store_url: str
) -> None:
    def in_flight() -> int:
        # A client that waits for the end of the pause has the flag `b`; idle ones show their last
        # command too.
        clients = store.client_list()
        return sum("b" in client["flags"] and client["cmd"] == "fcall" for client in clients)

    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        await commit.run(call("loaded by now"))
        # Given a store that does not answer writes
        store.client_pause(20_000, all=False)
        calls = []
        for number in range(1, 5):
            calls.append(asyncio.ensure_future(commit.run(call(f"caller {number}"))))
            await asyncio.sleep(0)
            expected = min(number, MOST_UNDER_WAY)
            await asyncio.to_thread(until, lambda: in_flight() >= expected)  # noqa: B023 - at once
        # Then two batches are in flight, and the others wait
        assert in_flight() == MOST_UNDER_WAY
        store.client_unpause()
        return await asyncio.gather(*calls)

    try:
        replies = _with(store_url, steps, connections=MOST_UNDER_WAY + 1)
    finally:
        store.client_unpause()
    assert [reply[1].decode() for reply in replies] == [f"caller {n}" for n in range(1, 5)]


def test_a_canceled_caller_does_not_delay_others(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        canceled = asyncio.ensure_future(commit.run(call("canceled")))
        other = asyncio.ensure_future(commit.run(call("other")))
        await asyncio.sleep(0)
        canceled.cancel()
        return await other

    assert _with(store_url, steps)[1] == b"other"


def test_a_wrong_number_of_replies_is_an_error_for_every_caller(store_url: str) -> None:
    async def steps(_commit: GroupCommit, client: aredis.Redis) -> list[Any]:
        commit = group_commit(client, "return {1}")
        calls = (commit.run(call("a")) for _ in range(3))
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)

    assert [type(reply) for reply in _with(store_url, steps)] == [ValueError] * 3


def test_closing_waits_for_batches_in_flight(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> None:
        canceled = asyncio.create_task(commit.run(call("caller")))
        await asyncio.sleep(0)
        canceled.cancel()
        await asyncio.gather(canceled, return_exceptions=True)
        await commit.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _with(store_url, steps)
    assert store.get("count") == b"1"


def test_closing_does_not_wait_for_a_store_that_hangs(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, client: aredis.Redis) -> float:
        await client.ping()
        store.client_pause(3_000, all=False)
        started = time.monotonic()
        waiting = asyncio.create_task(commit.run(call("caller")))
        await asyncio.sleep(0)
        await commit.close()
        took = time.monotonic() - started
        store.client_unpause()
        # The waiting caller gets an error
        assert isinstance(*await asyncio.gather(waiting, return_exceptions=True), CancelledError)
        return took

    assert _with(store_url, steps) < 2.5


def test_an_unreachable_store_is_an_error_for_every_caller(store_url: str) -> None:
    async def steps(commit: GroupCommit, client: aredis.Redis) -> Any:
        client.connection_pool.connection_kwargs["port"] = 1
        calls = [commit.run(call("word")) for _ in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(reply, redis.ConnectionError) for reply in _with(store_url, steps))


@pytest.mark.parametrize(
    ("count", "word"),
    [(MOST_WAITING, "x"), (8, "x" * (MOST_BYTES // 8 - 1))],
    ids=["too many", "too large"],
)
def test_too_many_waiting_calls_are_rejected(
    store: redis.Redis, store_url: str, count: int, word: str
) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        waiting = [asyncio.ensure_future(commit.run(call(word))) for _ in range(count)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await commit.run(call(word * 2))
        await asyncio.gather(*waiting)
        return await commit.run(call("room again"))

    assert _with(store_url, steps)[0] == count + 1
