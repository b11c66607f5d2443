"""The ledger over an empty store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.ledgers import Books, opened_books


@pytest.fixture
def books(store: redis.Redis, store_url: str) -> Iterator[Books]:
    """The ledger over an empty store."""
    assert store.dbsize() == 0
    with opened_books(store_url) as books:
        yield books
