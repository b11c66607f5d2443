"""Spans of time as the configuration writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.time_formats.durations import MAX_DURATION_MS, format_duration_ms, parse_duration_ms


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("0s", 0),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        (" 5m\n", 300_000),
        ("365d", MAX_DURATION_MS),
    ],
)
def test_a_span_of_time_is_read_in_milliseconds(text: str, expected_ms: int) -> None:
    assert parse_duration_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "m", "-5m", "5 m", "1.5h", "30m1h", "5m5m", "\u0665m", "5M", "9" * 5000 + "s"],
)
def test_what_is_no_span_of_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 5m"):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["366d", "365d1s", "999999999d"])
def test_more_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 365d"):
        parse_duration_ms(text)


@given(st.integers(min_value=0, max_value=MAX_DURATION_MS // 1000))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration_ms(format_duration_ms(seconds * 1000)) == seconds * 1000
