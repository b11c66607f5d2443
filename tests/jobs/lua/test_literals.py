"""Python values written into scripts are the same in Lua."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from service.jobs.lua.literals import LuaValue, to_lua


@pytest.mark.parametrize(
    "value",
    [
        1_767_225_600_000,
        "it's a \\ and a\nnew line",
        ["a", "b"],
        {"plain": 1, "with space": 2, "end": 3, "dm:4": {"nested": [True, False]}},
    ],
)
def test_a_value_is_unchanged_in_lua(store: redis.Redis, value: LuaValue) -> None:
    read: Any = store.eval(f"return cjson.encode({to_lua(value)})", 0)
    assert json.loads(read) == value


def test_a_field_that_is_none_does_not_exist_in_lua(store: redis.Redis) -> None:
    read: Any = store.eval(f"return cjson.encode({to_lua({'gap': 1, 'quiet': None})})", 0)
    assert json.loads(read) == {"gap": 1}
