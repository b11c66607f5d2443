"""What every test may ask for: a real store, empty, and a loop-bound client to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import redis

from deploy.local import wait
from tests.support.store import running_store

wait.deadline_factor = 4.0


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this process and its children leave in the place for temporary files goes with ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
    """URL of this test process' own database."""
    with running_store() as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[redis.Redis]:
    """A client to the store, which is empty when the test begins."""
    client = redis.Redis.from_url(store_url)
    client.flushdb()
    yield client
    client.close()
