"""Group commit: callers of one turn share a round trip, and nothing else."""

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
    Overloaded,
)
from service.jobs.lua.runner import Scripts
from service.redis.client import async_client
from tests.support.ledger import TIMES

#: Counts its calls, and how often it was run for them; refuses `bad`.
SCRIPT = """#!lua
redis.call('INCR', 'runs')
local replies = {}
for i, word in ipairs(ARGV) do
  replies[i] = word == 'bad' and redis.error_reply('refused') or {redis.call('INCR', 'count'), word}
end
return replies
"""


class OneScript(Scripts):
    """Knows one script, whatever it is called.

    Parameters:
      client: The loop's client.
      body: The script.
    """

    def __init__(self, client: aredis.Redis, body: str) -> None:
        super().__init__(client, TIMES)
        self._script = build_script(body, TIMES)

    def script(self, _name: str) -> Script:
        """The script."""
        return self._script


def say(word: str) -> ScriptCall[Any]:
    """A call of the script."""
    return ScriptCall("body", (word,), lambda reply: reply)


def committing(client: aredis.Redis, body: str) -> GroupCommit:
    """A group commit over any script."""
    return GroupCommit(OneScript(client, body))


def _with(
    url: str,
    steps: Callable[[GroupCommit, aredis.Redis], Awaitable[Any]],
    connections: int = 1,
) -> Any:
    async def run() -> Any:
        client = async_client(url, max_connections=connections)
        try:
            return await steps(committing(client, SCRIPT), client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def test_callers_of_one_turn_are_answered_each_with_his_own(
    store: redis.Redis, store_url: str
) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        return await asyncio.gather(*(commit.run(say(f"caller {n}")) for n in range(250)))

    replies = _with(store_url, steps)
    assert [reply[1].decode() for reply in replies] == [f"caller {n}" for n in range(250)]
    assert store.get("count") == b"250"
    assert int(cast(bytes, store.get("runs"))) < 10


def test_large_calls_share_a_round_trip_with_few(store: redis.Redis, store_url: str) -> None:
    word = "x" * (MOST_BYTES_AT_ONCE // 2)

    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        return await asyncio.gather(
            *(commit.run(say(word)) for _ in range(4)), commit.run(say(word * 4))
        )

    assert [reply[0] for reply in _with(store_url, steps)] == [1, 2, 3, 4, 5]
    assert store.get("runs") == b"3"


def test_nobody_who_asks_again_at_once_is_forgotten(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> None:
        async def caller() -> None:
            for _ in range(300):
                await commit.run(say("again"))

        async with asyncio.timeout(30):
            await asyncio.gather(*(caller() for _ in range(3)))

    _with(store_url, steps, connections=MOST_UNDER_WAY + 1)
    assert store.get("count") == b"900"


def test_a_call_that_is_refused_does_not_touch_another(store_url: str, store: redis.Redis) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        calls = [commit.run(say(word)) for word in ("good", "bad", "good")]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = _with(store_url, steps)
    assert (first[0], third[0]) == (1, 2)
    assert isinstance(second, ResponseError)


def test_a_script_that_the_store_has_forgotten_is_loaded_again(
    store: redis.Redis, store_url: str
) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        await commit.run(say("before"))
        store.function_flush()
        return await asyncio.gather(*(commit.run(say("after")) for _ in range(3)))

    assert [reply[0] for reply in _with(store_url, steps)] == [2, 3, 4]


def test_the_next_batch_does_not_wait_for_the_answer_to_the_one_before(
    store: redis.Redis, store_url: str
) -> None:
    def under_way() -> int:
        # Whom the pause keeps waiting is told as blocked; an idle one shows its last command, too.
        clients = store.client_list()
        return sum("b" in each["flags"] and each["cmd"] == "fcall" for each in clients)

    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        await commit.run(say("known by now"))
        # Given a store that answers nobody who writes
        store.client_pause(20_000, all=False)
        calls = []
        for number in range(1, 5):
            calls.append(asyncio.ensure_future(commit.run(say(f"caller {number}"))))
            await asyncio.sleep(0)
            expected = min(number, MOST_UNDER_WAY)
            await asyncio.to_thread(until, lambda: under_way() >= expected)  # noqa: B023 - at once
        # Then two batches are under way, and the others wait
        assert under_way() == MOST_UNDER_WAY
        store.client_unpause()
        return await asyncio.gather(*calls)

    try:
        replies = _with(store_url, steps, connections=MOST_UNDER_WAY + 1)
    finally:
        store.client_unpause()
    assert [reply[1].decode() for reply in replies] == [f"caller {n}" for n in range(1, 5)]


def test_a_caller_who_leaves_holds_up_nobody(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        leaving = asyncio.ensure_future(commit.run(say("leaving")))
        staying = asyncio.ensure_future(commit.run(say("staying")))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert _with(store_url, steps)[1] == b"staying"


def test_replies_that_are_not_as_many_as_calls_are_an_error_of_each(store_url: str) -> None:
    async def steps(_commit: GroupCommit, client: aredis.Redis) -> list[Any]:
        commit = committing(client, "return {1}")
        asked = (commit.run(say("a")) for _ in range(3))
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)

    assert [type(reply) for reply in _with(store_url, steps)] == [ValueError] * 3


def test_what_is_under_way_ends_before_it_is_closed(store: redis.Redis, store_url: str) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> None:
        gone = asyncio.create_task(commit.run(say("caller")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await commit.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _with(store_url, steps)
    assert store.get("count") == b"1"


def test_a_store_that_does_not_answer_is_closed_all_the_same(
    store: redis.Redis, store_url: str
) -> None:
    async def steps(commit: GroupCommit, client: aredis.Redis) -> float:
        await client.ping()
        store.client_pause(3_000, all=False)
        began = time.monotonic()
        asked = asyncio.create_task(commit.run(say("caller")))
        await asyncio.sleep(0)
        await commit.close()
        took = time.monotonic() - began
        store.client_unpause()
        # Whoever still waits is told
        assert isinstance(*await asyncio.gather(asked, return_exceptions=True), CancelledError)
        return took

    assert _with(store_url, steps) < 2.5


def test_a_store_that_is_gone_is_said_to_everybody(store_url: str) -> None:
    async def steps(commit: GroupCommit, client: aredis.Redis) -> Any:
        client.connection_pool.connection_kwargs["port"] = 1
        calls = [commit.run(say("word")) for _ in range(3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(reply, redis.ConnectionError) for reply in _with(store_url, steps))


@pytest.mark.parametrize(
    ("count", "word"),
    [(MOST_WAITING, "x"), (8, "x" * (MOST_BYTES // 8 - 1))],
    ids=["too many", "too large"],
)
def test_more_than_the_store_takes_is_sent_away(
    store: redis.Redis, store_url: str, count: int, word: str
) -> None:
    async def steps(commit: GroupCommit, _client: aredis.Redis) -> Any:
        waiting = [asyncio.ensure_future(commit.run(say(word))) for _ in range(count)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await commit.run(say(word * 2))
        await asyncio.gather(*waiting)
        return await commit.run(say("room again"))

    assert _with(store_url, steps)[0] == count + 1
