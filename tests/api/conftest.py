"""The web application, and the ledger under it to end jobs as a worker would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ledgers import Books, opened_books
from tests.support.web import Door, door, served

__all__ = ["door", "served"]


@pytest.fixture
def books(door: Door, store_url: str) -> Iterator[Books]:
    """The ledger of the application's store."""
    with opened_books(store_url) as books:
        yield books
