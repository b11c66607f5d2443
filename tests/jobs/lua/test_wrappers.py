"""Each script has one Python function whose parameters are the script's arguments."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.jobs.lua.call import ScriptCall
from tests.support.lua import FOLDER, SCRIPT_FILES

#: `local job_id, owner = unpack(ARGV)`, `... = unpack(ARGV, 1, 2)`, `... = ARGV[1], ...(ARGV[2])`.
_FIXED = re.compile(r"^local ([\w, ]+) = (?=unpack\(ARGV|ARGV\[1\])", re.MULTILINE)
_REPEATED = re.compile(
    r"^for ([\w, ]+) in argument_groups\(ARGV, (?:1|FIRST_\w+), (\d+)\) do", re.MULTILINE
)
_NUMBERED = re.compile(r"ARGV\[\d")
_CODE = re.compile(r"^(?!--|#!)\S", re.MULTILINE)
_ROOT = FOLDER.parents[2]

pytestmark = pytest.mark.parametrize("path", SCRIPT_FILES, ids=lambda path: path.stem)


def _wrapper(path: Path) -> Callable[..., ScriptCall[Any]]:
    module = importlib.import_module(f"service.jobs.lua.{path.stem}")
    found: Callable[..., ScriptCall[Any]] = getattr(module, path.stem)
    return found


def _names(found: re.Match[str] | None) -> list[str]:
    return found[1].split(", ") if found else []


def test_the_functions_parameters_are_the_scripts_arguments(path: Path) -> None:
    text = path.read_text()
    parameters = inspect.signature(_wrapper(path)).parameters.values()
    own = [param.name for param in parameters if param.kind is not param.VAR_POSITIONAL]
    fixed, repeated = _names(_FIXED.search(text)), _REPEATED.search(text)
    if len(own) == len(parameters) and repeated:
        assert (own, len(own)) == (_names(repeated), int(repeated[2]))
    else:
        assert own == fixed
        assert len(own) == len(parameters) or "#ARGV" in text or "ARGV, " in text


def test_arguments_are_named_in_the_first_line_of_code(path: Path) -> None:
    text = path.read_text()
    fixed, code = _FIXED.search(text), _CODE.search(text)
    assert code
    if fixed:
        assert fixed.start() == code.start()
        text = text[: fixed.start()] + text[fixed.end() :].partition("\n")[2]
    assert not _NUMBERED.search(text)


def test_the_function_calls_the_script_of_its_name(path: Path) -> None:
    parameters = inspect.signature(_wrapper(path)).parameters.values()
    values = [
        {"int": 7, "bytes": b"x"}.get(str(param.annotation), "x")
        for param in parameters
        if param.kind is not param.VAR_POSITIONAL
    ]
    call = _wrapper(path)(*values)
    assert call.name == path.stem
    assert [str(arg) for arg in call.args] == [str(value) for value in values]


def test_nothing_else_calls_the_script_by_its_name(path: Path) -> None:
    calling = re.compile(rf"""ScriptCall\(\s*["']{path.stem}["']|\.run\(\s*["']{path.stem}["']""")
    modules = [file for room in ("service", "actors") for file in (_ROOT / room).rglob("*.py")]
    callers = [file for file in modules if calling.search(file.read_text())]
    assert callers == [path.with_suffix(".py")]


def test_the_header_documents_arguments_reply_and_invariant(path: Path) -> None:
    header = path.read_text().partition("\nlocal ")[0]
    assert [word for word in ("ARGV", "Reply", "Keeps") if f"-- {word}  " in header] == [
        "ARGV",
        "Reply",
        "Keeps",
    ]
