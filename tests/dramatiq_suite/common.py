"""In place of `tests/common.py` of Dramatiq, which its source distribution lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.dramatiq_suite.adapter import SuiteBroker, SuiteWorker

RABBITMQ_CREDENTIALS = None


def skip_on_pypy(test: Any) -> Any:
    """Nothing is skipped."""
    return test


def skip_on_windows(test: Any) -> Any:
    """Nothing is skipped."""
    return test


@contextmanager
def worker(broker: SuiteBroker, **options: Any) -> Iterator[SuiteWorker]:
    """A worker that runs until the block ends."""
    running = SuiteWorker(broker, **options)
    running.start()
    try:
        yield running
    finally:
        running.stop()
