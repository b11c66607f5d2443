"""The Lua scripts, each put together once: what it needs of the library, and its body."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, cast

import redis
import redis.asyncio as aredis

from service.accounts.limits import UNLIMITED, Limits
from service.config import Config
from service.jobs.layout import BLANK, FOLDED, MOST_PIECES, PIECE
from service.jobs.library import Part, needed, parts_of
from service.jobs.model import TRANSITIONS
from service.jobs.wakeups import ADDRESSES, NAMESPACE
from service.settings import Settings

_FOLDER: Final = resources.files("service.jobs") / "scripts"
_DAY_MS: Final = 24 * 3600 * 1000

#: What comes before every script's body; each part needs those before it.
_LIBRARY: Final = ("ledger", "doors", "line", "found", "walks", "ends", "recipients", "births")

#: The estimate for a job that waits for a person.
RECHECK_MS: Final = 60_000


@dataclass(frozen=True)
class Times:
    """The times the scripts work with, in ms, and what bounds each account.

    Parameters:
      lease: How long a claim, a granted turn or an unanswered wake-up lives.
      settle: From an intent to the first look-up of a write whose end is unknown.
      keep: How long ended records are remembered.
      keep_bodies: How long event bodies and the texts of ended jobs are kept.
      limits: Budgets, quiet hours, and whom to tell of an account's holds.
    """

    lease: int
    settle: int
    keep: int
    keep_bodies: int
    limits: Limits = UNLIMITED

    @classmethod
    def of(cls, settings: Settings, config: Config) -> Times:
        """What the settings and the configuration ask for."""
        return cls(
            lease=round(settings.lease_seconds * 1000),
            settle=round(settings.settle_seconds * 1000),
            keep=settings.retention_days * _DAY_MS,
            keep_bodies=min(settings.body_retention_days, settings.retention_days) * _DAY_MS,
            limits=Limits.of(config),
        )


def source_of(name: str, times: Times) -> str:
    """The whole text of one script.

    Parameters:
      name: The file's name without `.lua`.
      times: The times it works with.

    Returns:
      Lua for EVAL. It always has a shebang: such a script is refused as a whole when memory is
      short, where one without would stop half way.
    """
    return assembled((_FOLDER / f"{name}.lua").read_text(), times)


def assembled(body: str, times: Times) -> str:
    """A script's body with what it needs before it.

    Parameters:
      body: Its own text, which may begin with a shebang.
      times: The times it works with.
    """
    shebang, _, rest = body.partition("\n") if body.startswith("#!") else ("#!lua", "", body)
    terms = parts_of(f"{_constants(times)}\n{times.limits.as_lua()}")
    return "\n".join((shebang, *needed([*terms, *_library()], rest), rest))


@cache
def _library() -> list[Part]:
    files = [(_FOLDER / "lib" / f"{name}.lua").read_text() for name in _LIBRARY]
    return parts_of("\n".join(files))


def _constants(times: Times) -> str:
    actors = ", ".join(
        f"{kind} = {{queue = '{address.queue}', name = '{address.actor}'}}"
        for kind, address in ADDRESSES.items()
    )
    allowed = ", ".join(
        f"{origin} = {{{', '.join(f'{to} = true' for to in sorted(targets))}}}"
        for origin, targets in TRANSITIONS.items()
    )
    return (
        f"local CONF = {{lease = {times.lease}, settle = {times.settle}, keep = {times.keep},"
        f" keep_bodies = {times.keep_bodies}, recheck = {RECHECK_MS},"
        f" repeats = {times.limits.repeat_ms}, namespace = '{NAMESPACE}',"
        f" actors = {{{actors}}}}}\n"
        f"local ALLOWED = {{{allowed}}}\n{_layout()}"
    )


def _layout() -> str:
    blank = ", ".join(f"['{name}'] = '{value}'" for name, value in BLANK.items())
    names = ", ".join(f"'{name}'" for name in FOLDED)
    folded = ", ".join(f"{name} = true" for name in FOLDED)
    return (
        f"local BLANK = {{{blank}}}\n"
        f"local FOLDED, IS_FOLDED = {{{names}}}, {{{folded}}}\n"
        f"local PIECE, MOST_PIECES = {PIECE}, {MOST_PIECES}"
    )


class Scripts:
    """Runs the scripts by hash, loading one where the server does not know it yet.

    Parameters:
      client: The event loop's client.
      times: The times the scripts work with.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        self._client = client
        self._times = times
        self._known: dict[str, Any] = {}

    async def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script.

        Parameters:
          name: The file's name without `.lua`.
          args: Its ARGV.

        Returns:
          The reply: bytes, ints and lists of them.
        """
        return await cast("Awaitable[Any]", self.script(name)(args=args))

    def script(self, name: str) -> Any:
        """One script, put together at its first use.

        Parameters:
          name: The file's name without `.lua`.
        """
        script = self._known.get(name)
        if script is None:
            script = self._client.register_script(source_of(name, self._times))
            self._known[name] = script
        return script


def sync_script(client: redis.Redis, name: str, times: Times) -> Any:
    """One script for a thread's client (the pulse).

    Parameters:
      client: The thread's own client.
      name: The file's name without `.lua`.
      times: The times it works with.
    """
    return client.register_script(source_of(name, times))


def flat_to_dict(flat: list[bytes]) -> Mapping[str, str]:
    """A hash as scripts reply it (name, value, name, value ...) as a dict of text."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}
