"""Building scripts: their includes, and what Python generates."""

from __future__ import annotations

import re

import pytest

from service.jobs.lua.builder import ScriptLibrary, generated_config, included, script_library
from service.jobs.lua.hash_encoding import BLANK, FOLDED
from service.jobs.lua.limits import AccountLimits, QuietHours
from service.jobs.model import KINDS, Status
from tests.support.ledger import TIMES
from tests.support.limited_ledger import pace, times_with_limits
from tests.support.lua import FOLDER, SCRIPT_FILES, SHARED_FILES, declared

FILES = {
    "first": "local ONE = 1\n",
    "second": '--- @include "first"\nlocal function two() return ONE + ONE end\n',
    "third": '--- @include "first"\nlocal THREE = 3\n',
}
SCRIPTS = [path.stem for path in SCRIPT_FILES]
_CALLED = re.compile(r"(?<![\w.:])([a-z_]\w*)\(")
_DECLARED = re.compile(
    r"local function (\w+)\(([^)]*)\)|function ?[\w.]*\(([^)]*)\)|local ([\w, ]+)|for ([\w, ]+) in"
)
#: Built into Lua and Redis, and keywords that may precede a bracket.
_BUILT_IN = frozenset(
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


def test_a_file_comes_after_its_includes_and_only_once() -> None:
    text = '--- @include "second"\n--- @include "third"\nreturn two() + THREE'
    assert list(included(text, FILES)) == ["first", "second", "third"]


def test_a_missing_file_cannot_be_included() -> None:
    with pytest.raises(KeyError, match="fourth"):
        included('--- @include "fourth"', FILES)


def test_a_comment_about_includes_includes_nothing() -> None:
    assert included('-- see `--- @include "first"`\n---@include "second"', FILES) == {}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_function_that_a_script_calls_is_included(script: str) -> None:
    text = re.sub(r"--[^\n]*", "", script_library(TIMES).script(script).text)
    declared_names = {
        name for found in _DECLARED.findall(text) for name in re.findall(r"\w+", " ".join(found))
    }
    assert set(_CALLED.findall(text)) - declared_names <= _BUILT_IN


def test_a_script_contains_only_its_includes() -> None:
    library = script_library(TIMES)
    finish, record = (library.script(n).text for n in ("finish_job", "record_delivery_attempt"))
    assert "function build_job" not in finish
    assert len(record) < len(finish) * 2 / 3


def test_no_name_is_declared_in_two_files() -> None:
    names = [name for path in SHARED_FILES for name in declared(path.read_text())]
    assert sorted(names) == sorted(set(names))


# -- what Python generates


def test_the_documented_config_declares_what_the_generated_one_does() -> None:
    documented = declared((FOLDER / "lib" / "config.lua").read_text())
    library = ScriptLibrary(generated_config(TIMES), {"one": '--- @include "config"\nreturn 1'})
    assert declared(library.text.partition("local run\n")[2]) == documented


def test_the_documented_config_has_the_fields_of_the_generated_one() -> None:
    quiet = QuietHours(22 * 60, 8 * 60, "Europe/Paris")
    shop = AccountLimits({"dm": pace()}, since_ms=1, quiet=quiet, callback="crm")
    documented = _fields((FOLDER / "lib" / "config.lua").read_text())
    names = _fields(generated_config(times_with_limits(shop=shop)))
    words = {*KINDS, *Status, *BLANK, *FOLDED, "delivery"}
    assert names - words == documented - words - {"RELEASE"}


def _fields(text: str) -> set[str]:
    return {one or other for one, other in re.findall(r"\['(\w+)'\] =|\b(\w+) = ", text)}


def test_another_configuration_makes_another_release() -> None:
    assert script_library(TIMES) is script_library(times_with_limits())
    assert script_library(times_with_limits(repeat_ms=1)).release != script_library(TIMES).release
