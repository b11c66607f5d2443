"""The retry schedule and the Retry-After header."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.retry_schedule import (
    DELAYS_SECONDS,
    HARD_STOP_MS,
    MAX_RETRY_AFTER_MS,
    exhausted,
    next_delay_ms,
    parse_retry_after,
)

HOUR_MS = 3600 * 1000
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()

attempts = st.integers(0, len(DELAYS_SECONDS) - 1)
jitters = st.floats(0, 1, exclude_max=True)


def test_twelve_attempts_take_about_three_days() -> None:
    assert len(DELAYS_SECONDS) == 12
    assert 75.5 < sum(DELAYS_SECONDS) / 3600 < 76.5


def test_the_first_attempt_is_made_at_once() -> None:
    assert next_delay_ms(0, retry_after_ms=None, jitter=0.99) == 0


def test_without_jitter_the_delays_are_those_of_the_table() -> None:
    delays = [next_delay_ms(n, retry_after_ms=None, jitter=0) for n in range(12)]

    assert delays == [seconds * 1000 for seconds in DELAYS_SECONDS]


def test_after_the_last_attempt_there_is_no_next() -> None:
    assert next_delay_ms(12, retry_after_ms=None, jitter=0) is None
    assert next_delay_ms(12, retry_after_ms=1000, jitter=0) is None


@given(attempt=attempts, jitter=jitters)
def test_jitter_adds_at_most_a_fifth(attempt: int, jitter: float) -> None:
    base_ms = DELAYS_SECONDS[attempt] * 1000

    delay_ms = next_delay_ms(attempt, retry_after_ms=None, jitter=jitter)

    assert delay_ms is not None
    assert base_ms <= delay_ms <= base_ms * 1.2


@given(attempt=attempts, jitter=jitters, requested_ms=st.integers(0, MAX_RETRY_AFTER_MS))
def test_a_retry_never_comes_earlier_than_the_endpoint_requested(
    attempt: int, jitter: float, requested_ms: int
) -> None:
    delay_ms = next_delay_ms(attempt, retry_after_ms=requested_ms, jitter=jitter)

    assert delay_ms is not None
    assert delay_ms >= max(requested_ms, DELAYS_SECONDS[attempt] * 1000)


def test_an_endpoint_cannot_push_a_retry_beyond_six_hours() -> None:
    assert next_delay_ms(1, retry_after_ms=10**12, jitter=0) == 6 * HOUR_MS


def test_retry_after_does_not_shorten_the_schedule() -> None:
    assert next_delay_ms(11, retry_after_ms=1, jitter=0) == 24 * HOUR_MS


@pytest.mark.parametrize(("attempt", "jitter"), [(-1, 0), (0, 1), (0, -0.1)])
def test_invalid_arguments_raise_an_error(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter"):
        next_delay_ms(attempt, retry_after_ms=None, jitter=jitter)


def test_a_delivery_stops_after_ninety_six_hours() -> None:
    assert HARD_STOP_MS == 96 * HOUR_MS
    assert not exhausted(1000, 1000 + 96 * HOUR_MS - 1)
    assert exhausted(1000, 1000 + 96 * HOUR_MS)


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        ("0", 0),
        ("120", 120_000),
        (" 5 ", 5_000),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30_000),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30_000),
        ("Sun Mar  1 12:00:30 2026", 30_000),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("99999999999999999999", MAX_RETRY_AFTER_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_MS),
    ],
)
def test_both_forms_of_retry_after_are_parsed(value: str, expected_ms: int) -> None:
    assert parse_retry_after(value, NOW) == expected_ms


@pytest.mark.parametrize(
    "value",
    ["", " ", "soon", "-5", "+5", "1.5", "1e3", "0x10", "٣", "²", "inf", "nan", "1" * 10_000, ",,"],
)
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ \S*"))
def test_any_retry_after_gives_a_bounded_delay_or_none(value: str) -> None:
    delay_ms = parse_retry_after(value, NOW)

    assert delay_ms is None or 0 <= delay_ms <= MAX_RETRY_AFTER_MS
