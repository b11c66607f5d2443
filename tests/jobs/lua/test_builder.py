"""What of the library comes before a script: all that it needs, and nothing else."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from service.jobs.lua.builder import release_of, script_of
from service.jobs.lua.tree_shaking import Part, needed, parts_of
from tests.support.ledger import TIMES

LIBRARY = """-- A comment, which nobody runs.
local ONE, TWO = 1, {
  two = 2,
}

-- Of whom first() speaks.
local function first(x) return x + ONE end

local function second(x)
  -- again: third
  return first(x) .. 'fine'
end
local function third() return TWO end
"""

FOLDER = Path(str(resources.files("service.jobs.lua")))
SCRIPT_FILES = sorted(FOLDER.glob("*.lua"))
LIBRARY_FILES = sorted(FOLDER.glob("lib/*.lua"))
SCRIPTS = [path.stem for path in SCRIPT_FILES]
_CALLED = re.compile(r"(?<![\w.:])([a-z_]\w*)\(")
_MADE = re.compile(r"local function (\w+)\(([^)]*)\)|function\(([^)]*)\)|local ([\w, ]+)")
#: Of Lua and Redis; `function` and `and` may stand before a bracket, too.
_GIVEN = frozenset(
    {
        "and",
        "or",
        "not",
        "function",
        "if",
        "elseif",
        "return",
        "in",
        "ipairs",
        "pairs",
        "pcall",
        "error",
        "type",
        "tonumber",
        "tostring",
        "unpack",
        "rawget",
        "setmetatable",
    }
)


def test_what_a_body_needs_comes_before_it_with_what_that_needs() -> None:
    assert names(needed(parts_of(LIBRARY), "return second(1)")) == ["ONE", "first", "second"]


def test_a_name_beside_the_dots_of_a_concatenation_is_one() -> None:
    assert names(needed(parts_of(LIBRARY), "return 'a'..third")) == ["ONE", "third"]


def test_a_field_of_that_name_needs_nothing() -> None:
    assert needed(parts_of(LIBRARY), "return job.second, job.third.first") == []


def test_a_statement_that_makes_no_local_is_refused() -> None:
    with pytest.raises(ValueError, match="no local of the library"):
        parts_of("count = 1\nlocal function f() end")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_function_that_a_script_calls_is_there(script: str) -> None:
    text = re.sub(r"--[^\n]*", "", text_of(script))
    made = {name for found in _MADE.findall(text) for name in re.findall(r"\w+", " ".join(found))}
    assert set(_CALLED.findall(text)) - made <= _GIVEN


def test_a_script_comes_without_what_it_does_not_need() -> None:
    assert "create_job" not in text_of("finish_job")
    assert len(text_of("record_delivery_attempt")) < len(text_of("finish_job")) / 2


def text_of(script: str) -> str:
    return script_of(script, TIMES, release_of(TIMES)).text


def names(texts: list[str]) -> list[str]:
    return [min(Part.of(text).defines) for text in texts]
