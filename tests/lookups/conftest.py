"""Ledgers whose accounts look things up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.pacing import Opener, ledgers


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    """Opens ledgers over an empty store; an account each, with its terms."""
    assert store.dbsize() == 0
    with ledgers(store_url) as opener:
        yield opener
