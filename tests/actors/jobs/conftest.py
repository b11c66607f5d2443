"""The fake Instagram and a scripted worker, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.fake_instagram import fake_instagram, fake_instagram_process
from tests.support.scripted_worker import ScriptedWorker, open_scripted_worker

__all__ = ["fake_instagram", "fake_instagram_process", "worker"]


@pytest.fixture
def worker(store: redis.Redis, store_url: str) -> Iterator[ScriptedWorker]:
    """A worker over an empty store, whose Instagram is a script."""
    assert store.dbsize() == 0
    with open_scripted_worker(store_url) as worker:
        yield worker
