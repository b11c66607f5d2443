"""Builds the Lua scripts: the library that they share, and one function for each script.

The folder has one `.lua` file a script, and what scripts share in `lib/`. A line like
`--- @include "records"` states what a file needs; includes are resolved transitively, in order,
each file once. `lib/config.lua` only documents what this module generates in its place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Final

from service.config.config import Config
from service.config.settings import Durability, Settings
from service.jobs.actor_routes import NAMESPACE, OPERATION, PHOTO, ROUTES, Route
from service.jobs.lua.hash_encoding import (
    BLANK,
    FOLDED,
    MOST_PIECES,
    PIECE,
    PLAIN_RECORD_VERSION,
    RECORD_VERSION,
)
from service.jobs.lua.limits import UNLIMITED, Limits
from service.jobs.lua.literals import LuaValue, to_lua
from service.jobs.lua.scoping import scoped
from service.jobs.model import TRANSITIONS
from service.jobs.person_keys import PersonKeys

_FOLDER: Final = resources.files("service.jobs.lua")
_DAY_MS: Final = 24 * 3600 * 1000

#: What the names of all function libraries begin with.
LIBRARY_PREFIX: Final = "hg_"

#: The estimate for a job that waits for a person.
RECHECK_MS: Final = 60_000

_INCLUDE: Final = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)
#: A command that a script cannot do without; what it merely tries is a pcall.
_COMMAND: Final = re.compile(r"redis\.call\('(\w+)'")
_FLAG: Final = re.compile(r"(?:flags=|,)([a-z-]+)")


@dataclass(frozen=True)
class ScriptConfig:
    """What the scripts work with: times in ms, and what bounds each account.

    Parameters:
      lease: How long a claim, a granted turn or an unanswered wake-up lives.
      settle: From an intent to the first verification lookup of an unconfirmed write.
      keep: How long records are kept after their end.
      keep_bodies: How long event bodies and the texts of ended jobs are kept.
      limits: Budgets, quiet hours, and the callback endpoints that are told of holds.
      durability: What a change waits for (durability.py).
      person_keys: Computes the keyed hashes that the scripts know persons by.
    """

    lease: int
    settle: int
    keep: int
    keep_bodies: int
    limits: Limits = UNLIMITED
    durability: Durability = "memory"
    person_keys: PersonKeys = field(kw_only=True, repr=False)

    @classmethod
    def of(cls, settings: Settings, config: Config) -> ScriptConfig:
        return cls(
            lease=round(settings.lease_seconds * 1000),
            settle=round(settings.settle_seconds * 1000),
            keep=settings.retention_days * _DAY_MS,
            keep_bodies=min(settings.body_retention_days, settings.retention_days) * _DAY_MS,
            limits=Limits.of(config),
            durability=settings.durability,
            person_keys=PersonKeys(settings.secret_keys),
        )


@dataclass(frozen=True)
class Script:
    """One script, in both forms that a store can run.

    Parameters:
      library: The function library that it is part of.
      name: Its file name without `.lua`.
      function: Its name there, for FCALL.
      shebang: Its first line.
      body: The other lines.
    """

    library: ScriptLibrary = field(repr=False)
    name: str
    function: str
    shebang: str
    body: str = field(repr=False)

    @cached_property
    def text(self) -> str:
        """Lua for EVAL: the script, and what it includes.

        It always has a shebang: such a script is refused as a whole when memory is short, where
        one without would stop half way. So are functions.
        """
        # The body is a function of its own here, too: Lua allows 200 locals in each.
        return (
            f"{self.shebang}\nlocal run = {{}}\n{self.library.shared(self.body)}\n"
            f"return (function()\n{_without_comments(self.body)}\nend)()"
        )

    @cached_property
    def sha(self) -> str:
        """What EVALSHA calls it by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @property
    def registration(self) -> str:
        """Lua that makes it a function of its library."""
        flags = to_lua(_FLAG.findall(self.shebang))
        return (
            f"redis.register_function{{function_name = '{self.function}', flags = {flags},"
            f" callback = function(_, ARGV)\nrun = {{}}\n{_without_comments(self.body)}\nend}}"
        )


class ScriptLibrary:
    """The scripts of one release and configuration.

    Parameters:
      config: The text in place of lib/config.lua, without RELEASE.
      bodies: The text of each script by name.
    """

    def __init__(self, config: str, bodies: Mapping[str, str]) -> None:
        files = _lua_files("lib")
        texts = "\0".join((config, *bodies.values(), *files.values()))
        #: Twelve hex digits that tell this release and configuration from others: processes of
        #: several may run at once, and each calls functions of its own.
        self.release: Final = hashlib.sha1(texts.encode(), usedforsecurity=False).hexdigest()[:12]
        #: A release drops the libraries of those that are gone by this prefix and their digits.
        self.name: Final = f"{LIBRARY_PREFIX}{self.release}_ledger"
        self._files = {**files, "config": f"{config}\nlocal RELEASE = {to_lua(self.release)}\n"}
        code = {name: _without_comments(text) for name, text in self._files.items()}
        self._blocks = scoped(code, bodies.values())
        self._scripts = {
            name: Script(self, name, f"{LIBRARY_PREFIX}{self.release}_{name}", *_split(body))
            for name, body in bodies.items()
        }

    def script(self, name: str) -> Script:
        """The script of `name`.lua; raises KeyError if there is none."""
        return self._scripts[name]

    @cached_property
    def text(self) -> str:
        """Lua for FUNCTION LOAD: what the scripts share, and a function for each of them.

        Everything is made once, when the library is loaded. What one run keeps for itself is in
        `run`, which is made anew in each.
        """
        scripts = self._scripts.values()
        shared = self.shared("\n".join(script.body for script in scripts))
        functions = (script.registration for script in scripts)
        return "\n".join((f"#!lua name={self.name}", "local run", shared, *functions))

    def shared(self, text: str) -> str:
        """The files that a text includes, without comments, each in a block of its own."""
        return "\n".join(self._blocks[name] for name in included(text, self._files))


def included(text: str, files: Mapping[str, str]) -> dict[str, str]:
    """What a text includes, each file after those that it includes itself.

    Parameters:
      text: Lua with `--- @include` lines.
      files: The files that can be included, by name.

    Raises:
      KeyError: A file that is included does not exist.
    """
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in found:
            add_all(files[name])
            found[name] = files[name]

    def add_all(including: str) -> None:
        for name in _INCLUDE.findall(including):
            add(name)

    add_all(text)
    return found


def commands_of_script(name: str) -> frozenset[str]:
    """The commands in a script of the folder and in what it includes."""
    body, shared = _lua_files("")[name], _lua_files("lib")
    texts = (body, *included(body, shared).values())
    return frozenset(command for text in texts for command in _COMMAND.findall(text))


def script_library(config: ScriptConfig) -> ScriptLibrary:
    """The scripts of this release for a configuration."""
    return _library_of(generated_config(config))


@lru_cache(maxsize=8)
def _library_of(config: str) -> ScriptLibrary:
    return ScriptLibrary(config, _lua_files(""))


def build_script(body: str, config: ScriptConfig, *, name: str = "body") -> Script:
    """A script from a text, as if it were one of the folder's files.

    Parameters:
      body: Its text, which may begin with a shebang.
      config: What it works with.
      name: What to call it.
    """
    return ScriptLibrary(generated_config(config), {name: body}).script(name)


def generated_config(config: ScriptConfig) -> str:
    """The text in place of lib/config.lua, without RELEASE."""
    settings: LuaValue = {
        "lease": config.lease,
        "settle": config.settle,
        "keep": config.keep,
        "keep_bodies": config.keep_bodies,
        "recheck": RECHECK_MS,
        "repeats": config.limits.repeat_ms,
        "namespace": NAMESPACE,
        "actors": {kind: _actor(route) for kind, route in ROUTES.items()},
        "photo_actor": _actor(PHOTO),
        "operation_actor": _actor(OPERATION),
    }
    allowed: LuaValue = {
        str(origin): {str(to): True for to in sorted(next_statuses)}
        for origin, next_statuses in TRANSITIONS.items()
    }
    is_folded = dict.fromkeys(FOLDED, True)
    return "\n".join(
        (
            f"local CONF = {to_lua(settings)}",
            f"local VERSION = {to_lua(str(RECORD_VERSION))}",
            f"local PLAIN_VERSION = {to_lua(str(PLAIN_RECORD_VERSION))}",
            f"local ALLOWED = {to_lua(allowed)}",
            f"local BLANK = {to_lua(BLANK)}",
            f"local FOLDED, IS_FOLDED = {to_lua(FOLDED)}, {to_lua(is_folded)}",
            f"local PIECE, MOST_PIECES = {PIECE}, {MOST_PIECES}",
            config.limits.as_lua(),
        )
    )


def _actor(route: Route) -> LuaValue:
    return {"queue": route.queue, "name": route.actor}


@cache
def _lua_files(folder: str) -> Mapping[str, str]:
    """The text of each `.lua` file of a folder, by its name without the suffix, in order."""
    entries = sorted((_FOLDER / folder).iterdir(), key=lambda entry: entry.name)
    return {
        entry.name.removesuffix(".lua"): entry.read_text()
        for entry in entries
        if entry.name.endswith(".lua")
    }


def _split(text: str) -> tuple[str, str]:
    """The shebang of a script, and the rest."""
    if not text.startswith("#!"):
        return "#!lua", text
    shebang, _, body = text.partition("\n")
    return shebang, body


def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text).strip()
