"""Timestamps as the scripts write them, compared with the standard library."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from service.time_formats.timestamps import rfc3339
from tests.support.lua import run_lua

_DAYS = [(1970, 1, 1), (1999, 12, 31), (2000, 2, 29), (2024, 2, 29), (2026, 3, 1), (2100, 2, 28)]


def _format(store: redis.Redis, moments: list[int]) -> list[str]:
    body = (
        "local out = {} for i, ms in ipairs(ARGV) do out[i] = rfc3339(tonumber(ms)) end return out"
    )
    texts: Any = run_lua(store, body, *moments)
    return [text.decode() for text in texts]


@pytest.mark.parametrize("day", _DAYS)
def test_calendar_edges_are_right(store: redis.Redis, day: tuple[int, int, int]) -> None:
    moment = datetime(*day, 23, 59, 59, 999000, tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)

    assert _format(store, [ms]) == [rfc3339(ms)]


def test_any_timestamp_is_as_the_standard_library_writes_it(store: redis.Redis) -> None:
    dice = random.Random(7)
    moments = [dice.randrange(1, 4_102_444_800_000) for _ in range(500)]

    assert _format(store, moments) == [rfc3339(ms) for ms in moments]
