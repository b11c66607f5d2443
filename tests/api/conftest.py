"""The web application, and the ledger under it to end jobs as a worker would."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.ledgers import Books, opened_books
from tests.support.lookups import new_name
from tests.support.web import Door, door, opened, served, serving

__all__ = ["door", "served"]


@pytest.fixture
def books(door: Door, store_url: str) -> Iterator[Books]:
    """The ledger of the application's store."""
    with opened_books(store_url) as books:
        yield books


@pytest.fixture
def name() -> str:
    """A profile that nobody has asked for."""
    return new_name()


@pytest.fixture
def asking() -> Iterator[ThreadPoolExecutor]:
    """Who asks while the test goes on."""
    with ThreadPoolExecutor(40) as pool:
        yield pool


@pytest.fixture
def another(door: Door, store_url: str, tmp_path: Path) -> Iterator[Door]:
    """Another web process on the same store."""
    with serving(store_url, tmp_path) as port, opened(port, door.store) as found:
        yield found
