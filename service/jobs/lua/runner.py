"""Runs the scripts: as functions of the store, or with EVAL where it has none for us.

A function is made once, when its library is loaded. EVAL makes every function of a script's text
anew in each run: 20 to 90 us of a step's 100 to 200, and memory that a full store has scattered
(https://redis.io/docs/latest/develop/programmability/functions-intro/).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import redis
import redis.asyncio as aredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from service.jobs.lua.builder import LIBRARY_PREFIX, Script, ScriptConfig, script_library
from service.jobs.lua.call import Argument, ScriptCall
from service.jobs.lua.durability import (
    Command,
    Confirmation,
    is_fact,
    is_promise,
    not_durable_counter,
)
from service.redis.causes import NotDurable, note_change

#: For how long a store that refused functions is not asked for them again: some allow none, and
#: one that is out of memory takes no new ones.
EVAL_SECONDS: Final = 60.0
#: zset ms -> release whose processes reported then (report_process.lua).
RELEASES: Final = "hg:releases"
#: A release that no process has reported for so long is gone.
UNUSED_SECONDS: Final = 24 * 3600
#: What can be wrong with one call, one after the other: the library is missing and may not be
#: loaded, and the text is missing, too.
_MAX_REPAIRS: Final = 2

Exchange = Generator[Command, Any, Any]

T = TypeVar("T")


class ScriptProtocol:
    """Which commands run a script, and what to do where the store does not know it.

    Without I/O, so that asynchronous and blocking clients share it.
    """

    def __init__(self) -> None:
        self._eval_until = 0.0

    def command(self, script: Script, args: Sequence[Argument]) -> Command:
        """The command that runs a script now."""
        if time.monotonic() < self._eval_until:
            return ("EVALSHA", script.sha, 0, *args)
        return ("FCALL", script.function, 0, *args)

    def exchange(self, script: Script, args: Sequence[Argument]) -> Exchange:
        """Run a script, and make it known to the store where it is not.

        Yields commands; send it the reply to each, errors of the store among them.

        Returns:
          The script's reply.

        Raises:
          redis.exceptions.ResponseError: The script's own, or the store refuses every form of it.
        """
        reply = yield self.command(script, args)
        for _ in range(_MAX_REPAIRS):
            if not is_unknown(reply):
                break
            yield from self._make_known(script, reply)
            reply = yield self.command(script, args)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def _make_known(self, script: Script, error: ResponseError) -> Exchange:
        if isinstance(error, NoScriptError):
            yield ("SCRIPT LOAD", script.text)
        elif _is_forbidden(error) or not (
            _is_loaded((yield ("FUNCTION LOAD", script.library.text)))
        ):
            self._eval_until = time.monotonic() + EVAL_SECONDS


def is_unknown(reply: object) -> bool:
    """Whether a reply says that the store does not know a script in this form: nothing was run."""
    return isinstance(reply, NoScriptError) or (
        isinstance(reply, ResponseError)
        and ("Function not found" in str(reply) or _is_forbidden(reply))
    )


def _is_forbidden(error: ResponseError) -> bool:
    """Whether the store has no functions, or none for this user."""
    text = str(error).lower()
    return "fcall" in text and ("unknown command" in text or "permission" in text)


def _is_loaded(reply: object) -> bool:
    """Whether the library is there now; another call may have loaded it meanwhile."""
    return not isinstance(reply, ResponseError) or "already exists" in str(reply)


class Scripts:
    """Runs the scripts of an event loop over its client."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._library = script_library(script_config)
        self.protocol: Final = ScriptProtocol()
        self._confirmation = Confirmation(script_config.durability)

    async def run(self, call: ScriptCall[T]) -> T:
        """Make a call in a round trip of its own.

        Raises:
          redis.exceptions.RedisError: The store did not answer, or refused the call.
          NotDurable: The change was made, but must not be relied on (durability.py).
        """
        reply = await self.send(self.script(call.name), call.args)
        if is_promise(call.name):
            note_change()
        return call.parse(reply)

    async def send(self, script: Script, args: Sequence[Argument]) -> Any:
        """Run a script; its reply is made of bytes, ints and lists of them."""
        confirmation = self._confirmation.command((script.name,))
        exchange, reply, confirmed = self.protocol.exchange(script, args), None, None
        try:
            while True:
                reply, confirmed = await self._reply_to(exchange.send(reply), confirmation)
        except StopIteration as end:
            if confirmation is None:
                return end.value
            (reply,) = await self._check_durable([script], [end.value], confirmed)
            if isinstance(reply, Exception):
                raise reply from None
            return reply

    async def send_all(self, calls: Sequence[tuple[Script, Sequence[Argument]]]) -> list[Any]:
        """Run scripts in one round trip, each a step of its own; returns replies and errors."""
        scripts = [script for script, _ in calls]
        confirmation = self._confirmation.command(script.name for script in scripts)
        async with self._client.pipeline(transaction=False) as pipe:
            for script, args in calls:
                pipe.execute_command(*self.protocol.command(script, args))
            if confirmation is not None:
                pipe.execute_command(*confirmation)
            replies = await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
        if confirmation is not None:
            *replies, confirmed = replies
            replies = await self._check_durable(scripts, replies, confirmed)
        return [
            await self._load_and_run(*call) if is_unknown(reply) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    async def _load_and_run(self, script: Script, args: Sequence[Argument]) -> Any:
        try:
            return await self.send(script, args)
        except (ResponseError, NotDurable) as error:
            return error

    async def run_all(self, calls: Sequence[ScriptCall[T]]) -> list[T | Exception]:
        """Make calls in one round trip, in their order; returns what each says, or its error."""
        replies = await self.send_all([(self.script(call.name), call.args) for call in calls])
        if any(is_promise(call.name) for call in calls):
            note_change()
        return [
            reply if isinstance(reply, Exception) else call.parse(reply)
            for call, reply in zip(calls, replies, strict=True)
        ]

    def script(self, name: str) -> Script:
        """The script of `name`.lua."""
        return self._library.script(name)

    async def _check_durable(
        self, scripts: Sequence[Script], replies: Sequence[Any], confirmed: object
    ) -> list[Any]:
        """Replace replies that must not be relied on by an error, and count them.

        Parameters:
          scripts: The scripts that were run.
          replies: Their replies, errors among them.
          confirmed: What followed the last: the reply to the confirmation's command.
        """
        checked = list(replies)
        for index, script in enumerate(scripts):
            error = self._confirmation.failed(script.name, replies[index], confirmed)
            if error is None:
                continue
            with suppress(RedisError, OSError):
                await self._reply_to(not_durable_counter(script.name))
            if not is_fact(script.name):
                checked[index] = error
        return checked

    async def _reply_to(
        self, command: Command, confirmation: Command | None = None
    ) -> tuple[Any, Any]:
        """Send one command, and return its reply; redis-py's own way takes twice as long.

        An error of the connection is raised, and has closed it.

        Parameters:
          confirmation: Sent with it, on the same connection; its reply comes second, or the error
            in its place.
        """
        pool = self._client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            if confirmation is None:
                await connection.send_command(*command)
                return await _read(connection), None
            packed = (connection.pack_command(*each) for each in (command, confirmation))
            await connection.send_packed_command([part for parts in packed for part in parts])
            return await _read(connection), await _read_confirmation(connection)
        finally:
            await pool.release(connection)


async def _read(connection: aredis.Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


async def _read_confirmation(connection: aredis.Connection) -> Any:
    # The reply before it is known: that no confirmation came must not hide what was done.
    try:
        return await connection.read_response()
    except (RedisError, OSError) as error:
        return error


class SyncScripts:
    """Runs the scripts of a thread over its own client."""

    def __init__(self, client: redis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._library = script_library(script_config)
        self._protocol = ScriptProtocol()

    def run(self, call: ScriptCall[T]) -> T:
        """Make a call; errors as those of `Scripts.run`."""
        return call.parse(self._send(self._library.script(call.name), call.args))

    def _send(self, script: Script, args: Sequence[Argument]) -> Any:
        exchange, reply = self._protocol.exchange(script, args), None
        try:
            while True:
                command = exchange.send(reply)
                try:
                    reply = cast("Any", self._client).execute_command(*command)
                except ResponseError as error:
                    reply = error
        except StopIteration as end:
            return end.value


async def drop_unused(client: aredis.Redis) -> int:
    """Drop the libraries of releases and configurations that no process runs any more.

    Those that no process here ever reported are left alone: the server may have other databases. A
    library that is dropped too early (its process was frozen for a day) is loaded again at its
    next call. The release before this one had a library for each script; they are dropped, too.

    Returns:
      How many were dropped.
    """
    seconds, _ = await client.time()
    long_ago = (seconds - UNUSED_SECONDS) * 1000
    gone = cast("list[bytes]", await client.zrange(RELEASES, 0, long_ago, byscore=True))
    dropped = sum([await _drop(client, release.decode()) for release in gone])
    await client.zremrangebyscore(RELEASES, 0, long_ago)
    return dropped


async def _drop(client: aredis.Redis, release: str) -> int:
    try:
        pattern = f"{LIBRARY_PREFIX}{release}_*"
        listed = await cast("Awaitable[Any]", client.function_list(pattern))
        for entry in listed:
            await cast("Awaitable[Any]", client.function_delete(_library_name(entry)))
    except ResponseError:
        return 0  # a store without functions, or another process does the same
    return len(listed)


def _library_name(entry: Any) -> str:
    """The name in one entry of FUNCTION LIST: a map, or names and values in turn."""
    fields = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=False))
    return cast("bytes", fields[b"library_name"]).decode()
