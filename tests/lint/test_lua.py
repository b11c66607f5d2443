"""The linter of the scripts finds what it is there for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.lint.lua import main, refused, warnings

needs_luacheck = pytest.mark.skipif(
    shutil.which("luacheck") is None, reason="luacheck is not installed"
)


def _script(folder: Path, text: str) -> Path:
    path = folder / "odd.lua"
    path.write_text(text)
    return path


def test_the_scripts_have_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(), capsys.readouterr().out) == (0, "")


def test_a_script_that_does_not_compile_is_named(tmp_path: Path) -> None:
    (problem,) = refused([_script(tmp_path, "local job = = 1\n")])
    assert problem.startswith(f"{tmp_path}/odd.lua: ")


@needs_luacheck
def test_a_name_that_is_not_included_is_found_where_it_is(tmp_path: Path) -> None:
    text = (
        '#!lua flags=no-writes\n--- @include "clock"\nlocal now = now_ms()\nreturn now + CONF.keep'
    )
    found = [each for each in warnings([_script(tmp_path, text)]) if "W113" in each]
    assert [each.split(":")[1] for each in found] == ["4"]
    assert "'CONF'" in found[0]


@needs_luacheck
def test_what_nobody_uses_is_found(tmp_path: Path) -> None:
    found = warnings([_script(tmp_path, "local idle = 1\nreturn ARGV\n")])
    assert any("unused variable 'idle'" in each for each in found)
