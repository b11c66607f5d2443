"""Ledgers whose accounts make lookups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.limited_ledger import LedgerFactory, ledger_factory


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    """Opens ledgers over an empty store, with limits per account."""
    assert store.dbsize() == 0
    with ledger_factory(store_url) as opener:
        yield opener
