"""The Lua scripts, put together: what each needs of the library, and its body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Final

from service.config.config import Config
from service.config.settings import Settings
from service.jobs.actor_routes import NAMESPACE, ROUTES
from service.jobs.lua.hash_encoding import BLANK, FOLDED, MOST_PIECES, PIECE
from service.jobs.lua.limits import UNLIMITED, Limits
from service.jobs.lua.tree_shaking import Part, needed, parts_of
from service.jobs.model import TRANSITIONS

_FOLDER: Final = resources.files("service.jobs.lua")
_DAY_MS: Final = 24 * 3600 * 1000

#: What comes before every script's body; each part needs those before it.
_LIBRARY: Final = (
    *("records", "rate_limits", "account_queue", "lookup_cache", "follower_pages"),
    *("finalize", "suppression", "create_job"),
)

#: What the names of all libraries begin with.
LIBRARY_PREFIX: Final = "hg_"
#: zset ms -> release whose processes reported then (report.lua).
RELEASES: Final = "hg:releases"

_FLAG: Final = re.compile(r"(?:flags=|,)([a-z-]+)")

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


@dataclass(frozen=True)
class Script:
    """One script, in both forms that a store can run.

    Parameters:
      function: Its name as a function, and its library's.
      library: Lua for FUNCTION LOAD.
      text: Lua for EVAL. It always has a shebang: such a script is refused as a whole when memory
        is short, where one without would stop half way. So are functions.
    """

    function: str
    library: str
    text: str

    @cached_property
    def sha(self) -> str:
        """What EVALSHA calls it by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def release_of(times: Times) -> str:
    """What tells the scripts of one release and configuration from those of others.

    Processes of several may run at once: each calls functions of its own.

    Parameters:
      times: What the scripts work with.

    Returns:
      Twelve hex digits.
    """
    terms = f"{_constants(times)}\n{times.limits.as_lua()}"
    texts = "\0".join((terms, *_files()))
    return hashlib.sha1(texts.encode(), usedforsecurity=False).hexdigest()[:12]


def script_of(name: str, times: Times, release: str) -> Script:
    """Put one script together.

    Parameters:
      name: The file's name without `.lua`.
      times: The times it works with.
      release: As `release_of` tells it.
    """
    return assembled((_FOLDER / f"{name}.lua").read_text(), times, name=name, release=release)


def assembled(body: str, times: Times, *, name: str = "body", release: str = "none") -> Script:
    """A script of a body and what it needs before it.

    Parameters:
      body: Its own text, which may begin with a shebang.
      times: The times it works with.
      name: What to call it.
      release: As `release_of` tells it.
    """
    shebang, _, rest = body.partition("\n") if body.startswith("#!") else ("#!lua", "", body)
    terms = parts_of(f"{_constants(times)}\nlocal RELEASE = '{release}'\n{times.limits.as_lua()}")
    before = "\n".join((*needed([*terms, *_library()], rest), ""))
    function = f"{LIBRARY_PREFIX}{release}_{name}"
    flags = ", ".join(f"'{flag}'" for flag in _FLAG.findall(shebang))
    return Script(
        function=function,
        # What a run keeps for itself is made anew in each; the rest is made once and never changed.
        library=(
            f"#!lua name={function}\nlocal run\n{before}"
            f"redis.register_function{{function_name = '{function}', flags = {{{flags}}},"
            f" callback = function(KEYS, ARGV)\nrun = {{}}\n{rest}\nend}}"
        ),
        text=f"{shebang}\nlocal run = {{}}\n{before}{rest}",
    )


@cache
def _library() -> list[Part]:
    files = [(_FOLDER / "lib" / f"{name}.lua").read_text() for name in _LIBRARY]
    return parts_of("\n".join(files))


@cache
def _files() -> tuple[str, ...]:
    """The texts of all scripts and of the library."""
    folders = (_FOLDER, _FOLDER / "lib")
    found = {entry.name: entry for folder in folders for entry in folder.iterdir()}
    return tuple(found[name].read_text() for name in sorted(found) if name.endswith(".lua"))


def _constants(times: Times) -> str:
    actors = ", ".join(
        f"{kind} = {{queue = '{address.queue}', name = '{address.actor}'}}"
        for kind, address in ROUTES.items()
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


def flat_to_dict(flat: list[bytes]) -> Mapping[str, str]:
    """A hash as scripts reply it (name, value, name, value ...) as a dict of text."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}
