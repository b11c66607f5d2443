"""One cluster for all failpoint tests of a process; an empty store for tests with their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.chaos.accounts import extra_accounts
from tests.chaos.cluster import ROUNDS, Cluster
from tests.chaos.failpoints import LOGIN_STEPS
from tests.support.store import given_store


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers with failpoints at their steps, and everything around them."""
    url = given_store(offset=12)
    if url is not None:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    directory = tmp_path_factory.mktemp("cluster") / "stack"
    # Each interrupted first login and re-login needs an account of its own.
    extra = 2 * len(LOGIN_STEPS) * (ROUNDS + 1)
    with Cluster(directory, url, accounts=extra_accounts(extra)).open() as opened:
        yield opened


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, without the faults and unfinished jobs of a test that failed."""
    yield shared_cluster
    shared_cluster.recover()


@pytest.fixture
def empty_store() -> Iterator[str | None]:
    """A database of the given Redis, if one is given, that is empty before and after the test."""
    url = given_store(offset=14)
    if url is None:
        yield None
        return
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()
