"""Lua evaluated against the library that the scripts share."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

import redis

from service.jobs.lua.builder import ScriptConfig, build_script
from tests.support.ledger import TIMES

FOLDER: Final = Path(str(resources.files("service.jobs.lua")))
SCRIPT_FILES: Final = sorted(FOLDER.glob("*.lua"))
SHARED_FILES: Final = sorted(FOLDER.glob("lib/*.lua"))

_INCLUDE_ALL: Final = "\n".join(f'--- @include "{path.stem}"' for path in SHARED_FILES)
_DECLARED: Final = re.compile(r"^local (?:function )?(\w+(?:, \w+)*)", re.MULTILINE)


def run_lua(store: redis.Redis, body: str, *args: str | float, config: ScriptConfig = TIMES) -> Any:
    """Run Lua in which every function and constant of the library is known.

    Parameters:
      store: Where it runs.
      body: What runs after the library; what it returns is the reply.
      args: Its ARGV.
      config: What the library works with.
    """
    script = build_script(f"{_INCLUDE_ALL}\n{body}", config)
    return store.eval(script.text, 0, *args)


def evaluate(
    store: redis.Redis, expression: str, *args: str | float, config: ScriptConfig = TIMES
) -> Any:
    """The value of an expression over the library; parameters as those of `run_lua`."""
    return run_lua(store, f"return {expression}", *args, config=config)


def declared(text: str) -> list[str]:
    """The names that a file of the library declares, in order.

    Parameters:
      text: Its Lua: what it declares begins at the beginning of a line.
    """
    return [name for found in _DECLARED.findall(text) for name in found.split(", ")]
