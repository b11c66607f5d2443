"""One arena for the traps of a test process, and an empty store for the tests with their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.chaos.cluster import ROUNDS, Cluster
from tests.chaos.failpoints import LOGIN_STEPS
from tests.support.store import given_store


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers with traps at their steps, and everything around them."""
    url = given_store(offset=12)
    if url is not None:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    directory = tmp_path_factory.mktemp("cluster") / "stack"
    # For each first login and each re-login that is cut short, an account of its own.
    extra = 2 * len(LOGIN_STEPS) * (ROUNDS + 1)
    with Cluster(directory, url, more_accounts=extra).open() as opened:
        yield opened


@pytest.fixture
def empty_store() -> Iterator[str | None]:
    """A database of the given Redis, if one is given, that is left as empty as it is found."""
    url = given_store(offset=14)
    if url is None:
        yield None
        return
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()
