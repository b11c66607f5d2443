"""One arena for the traps of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.chaos.arena import Arena
from tests.support.store import given_store


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Two workers with traps at their steps, and everything around them."""
    url = given_store(offset=12)
    if url is not None:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    with Arena(tmp_path_factory.mktemp("arena") / "stack", url).open() as opened:
        yield opened
