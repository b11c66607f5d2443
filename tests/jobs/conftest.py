"""The ledger over an empty store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.ledger import LedgerHarness, open_ledger


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger over an empty store."""
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger
