"""Scoping: a Lua file's own names are its own, and what others use stays visible."""

from __future__ import annotations

import re

from service.jobs.lua.scoping import scoped
from tests.support.lua import FOLDER

_FORM = re.compile(r"local (function \w+\(|[\w, ]+ = |\w+$)")
_ONE = """local OWN, COUNT = 1, 2
local function helper() return COUNT end
local function shared() return helper() end"""


def test_only_what_others_use_is_visible_outside_of_a_file() -> None:
    blocks = scoped({"one": _ONE, "two": "local function other() return shared() end"}, ["x()"])
    assert blocks["one"].splitlines() == [
        "local shared",
        ";(function()",
        "local OWN, COUNT = 1, 2",
        "local function helper() return COUNT end",
        "function shared() return helper() end",
        "end)()",
    ]
    assert blocks["two"].startswith(";(function()\nlocal function other()")


def test_what_a_script_uses_is_visible() -> None:
    assert scoped({"one": _ONE}, ["return COUNT"])["one"].startswith(
        "local OWN, COUNT\n;(function()\nOWN, "
    )


def test_a_name_that_gets_its_value_later_is_declared_once() -> None:
    text = "local later\nlocal function first() later() end\nfunction later() end"
    assert scoped({"one": text}, ["later()"])["one"].splitlines() == [
        "local later",
        ";(function()",
        "",
        "local function first() later() end",
        "function later() end",
        "end)()",
    ]


def test_every_declaration_at_the_beginning_of_a_line_has_a_form_that_is_recognized() -> None:
    lines = [
        line
        for path in FOLDER.glob("lib/*.lua")
        for line in path.read_text().splitlines()
        if line.startswith("local ")
    ]
    assert len(lines) > 150
    assert [line for line in lines if not _FORM.match(line)] == []
