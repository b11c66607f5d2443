"""What counts as too much besides body data."""

from __future__ import annotations

import pytest

from service.http.framing import FramingCounter
from service.http.request_heads import MAX_HEAD_BYTES


def packets(counter: FramingCounter, *sizes: int, body: int = 0) -> list[bool]:
    """Count packets of these sizes, each with so much body data."""
    verdicts = []
    for size in sizes:
        counter.start_packet()
        if body:
            counter.add_body(body)
        verdicts.append(counter.end_packet(size))
    return verdicts


def test_bytes_without_body_data_are_counted_over_all_packets() -> None:
    assert packets(FramingCounter(), MAX_HEAD_BYTES, 1) == [False, True]


def test_every_chunk_may_have_its_size_around_it() -> None:
    assert not any(packets(FramingCounter(), *[6] * 100_000, body=1))


def test_chunk_extensions_that_dwarf_the_body_are_too_much() -> None:
    assert packets(FramingCounter(), *[1000] * 70, body=1)[-1]


def test_body_data_ends_a_run_of_other_bytes() -> None:
    counter = FramingCounter()
    packets(counter, MAX_HEAD_BYTES)
    packets(counter, 2 * MAX_HEAD_BYTES, body=2 * MAX_HEAD_BYTES)
    assert packets(counter, MAX_HEAD_BYTES) == [False]


@pytest.mark.parametrize("before", [1, MAX_HEAD_BYTES])
def test_a_new_part_starts_at_zero(before: int) -> None:
    counter = FramingCounter()
    packets(counter, before)
    counter.start_packet()
    counter.start_part()
    assert counter.end_packet(MAX_HEAD_BYTES) is False
    assert not counter.has_strays
    assert packets(counter, MAX_HEAD_BYTES) == [False]
