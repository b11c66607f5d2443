"""Signals: the first one is passed on, and no other."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from actors.dramatiq_async.shutdown import ShutdownMiddleware

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def passed_on() -> Iterator[list[int]]:
    """The signals that arrive at the handlers that Dramatiq has installed before."""
    passed_on: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: passed_on.append(number))
        for number in SIGNALS
    }
    yield passed_on
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", SIGNALS)
def test_only_the_first_signal_is_passed_on(passed_on: list[int], first: signal.Signals) -> None:
    stop = ShutdownMiddleware()
    stop.install()
    assert not stop.stopping()
    for number in (first, *SIGNALS):
        signal.raise_signal(number)
    assert stop.stopping()
    assert passed_on == [first]
