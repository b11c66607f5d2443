"""Runs the scripts: as functions of the store, or with EVAL where it has none for us.

A function is made once, when its library is loaded. EVAL makes every function of a script's text
anew in each run: 20 to 90 us of a step's 100 to 200, and memory that a full store has scattered
(https://redis.io/docs/latest/develop/programmability/functions-intro/).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator, Sequence
from functools import cached_property
from typing import Any, Final, cast

import redis
import redis.asyncio as aredis
from redis.exceptions import NoScriptError, ResponseError

from service.jobs.lua.builder import LIBRARY_PREFIX, RELEASES, Script, Times, release_of, script_of

#: For how long a store that refused us functions is not asked for them again: some allow none,
#: one that is out of memory takes no new ones.
PLAIN_SECONDS: Final = 60.0
#: A release that no process has reported for so long is gone.
UNUSED_SECONDS: Final = 24 * 3600
#: What can be wrong with one call, one after the other: the library is not there and may not be
#: loaded, the text is not there either.
_MOST_MENDED: Final = 2

Command = tuple[str | bytes | float, ...]
Steps = Generator[Command, Any, Any]


class Form:
    """How one process runs scripts, and what to do where the store does not know one.

    Without I/O: `steps` yields commands and is sent the replies, errors of the store among them.
    """

    def __init__(self) -> None:
        self._plain_until = 0.0

    def command(self, script: Script, args: Sequence[str | bytes | float]) -> Command:
        """The command that runs a script now."""
        if time.monotonic() < self._plain_until:
            return ("EVALSHA", script.sha, 0, *args)
        return ("FCALL", script.function, 0, *args)

    def steps(self, script: Script, args: Sequence[str | bytes | float]) -> Steps:
        """Run a script, and make it known to the store where it is not.

        Returns:
          The script's reply.

        Raises:
          redis.exceptions.ResponseError: The script's own, or the store refuses every form of it.
        """
        reply = yield self.command(script, args)
        for _ in range(_MOST_MENDED):
            if not is_unknown(reply):
                break
            yield from self._make_known(script, reply)
            reply = yield self.command(script, args)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def _make_known(self, script: Script, error: ResponseError) -> Steps:
        if isinstance(error, NoScriptError):
            yield ("SCRIPT LOAD", script.text)
        elif _is_forbidden(error) or isinstance(
            (yield ("FUNCTION LOAD", "REPLACE", script.library)), ResponseError
        ):
            self._plain_until = time.monotonic() + PLAIN_SECONDS


def is_unknown(reply: object) -> bool:
    """Whether a reply says that the store does not know a script in this form: nothing was run."""
    return isinstance(reply, NoScriptError) or (
        isinstance(reply, ResponseError) and (_is_missing(reply) or _is_forbidden(reply))
    )


def _is_missing(error: ResponseError) -> bool:
    return "Function not found" in str(error)


def _is_forbidden(error: ResponseError) -> bool:
    """Whether the store has no functions, or none for this user."""
    text = str(error).lower()
    return "fcall" in text and ("unknown command" in text or "permission" in text)


class Scripts:
    """Runs the scripts of an event loop.

    Parameters:
      client: The event loop's client.
      times: The times the scripts work with.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        self._client = client
        self._times = times
        self._known: dict[str, Script] = {}
        self.form: Final = Form()

    async def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script.

        Parameters:
          name: The file's name without `.lua`.
          args: Its ARGV.

        Returns:
          The reply: bytes, ints and lists of them.
        """
        return await self.call(self.script(name), args)

    async def call(self, script: Script, args: Sequence[str | bytes | float]) -> Any:
        """Run a script in a round trip of its own; parameters and reply as those of `run`."""
        steps, reply = self.form.steps(script, args), None
        try:
            while True:
                reply = await self._reply_to(steps.send(reply))
        except StopIteration as end:
            return end.value

    def script(self, name: str) -> Script:
        """One script, put together at its first use.

        Parameters:
          name: The file's name without `.lua`.
        """
        script = self._known.get(name)
        if script is None:
            script = self._known[name] = script_of(name, self._times, self._release)
        return script

    @cached_property
    def _release(self) -> str:
        return release_of(self._times)

    async def _reply_to(self, command: Command) -> Any:
        """What the store says to a command: what redis-py does for one takes twice as long.

        An error of the connection is raised, and has closed it.
        """
        pool = self._client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_command(*command)
            return await connection.read_response()
        except ResponseError as error:
            return error
        finally:
            await pool.release(connection)


class SyncScript:
    """One script for a thread's client (the pulse).

    Parameters:
      client: The thread's own client.
      name: The file's name without `.lua`.
      times: The times it works with.
    """

    def __init__(self, client: redis.Redis, name: str, times: Times) -> None:
        self._client = client
        self._script = script_of(name, times, release_of(times))
        self._form = Form()

    def __call__(self, args: Sequence[str | bytes | float] = ()) -> Any:
        """Run it; parameters and reply as those of `Scripts.run`."""
        steps, reply = self._form.steps(self._script, args), None
        try:
            while True:
                command = steps.send(reply)
                try:
                    reply = cast("Any", self._client).execute_command(*command)
                except ResponseError as error:
                    reply = error
        except StopIteration as end:
            return end.value


async def drop_unused(client: aredis.Redis) -> int:
    """Drop the libraries of releases and configurations that no process runs any more.

    Those that nobody here ever reported are left alone: the server may have other databases. One
    that is dropped too early (its process was frozen for a day) is loaded again at its next call.

    Parameters:
      client: The event loop's client.

    Returns:
      How many were dropped.
    """
    seconds, _ = await client.time()
    long_ago = (seconds - UNUSED_SECONDS) * 1000
    gone = cast("list[bytes]", await client.zrange(RELEASES, 0, long_ago, byscore=True))
    dropped = 0
    for release in gone:
        dropped += await _drop(client, release.decode())
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
    """The name in one entry of FUNCTION LIST: a map, or names and values in turns."""
    fields = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=False))
    return cast("bytes", fields[b"library_name"]).decode()
