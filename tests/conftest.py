"""Fixtures for every test: a real store, emptied before each test, and a client to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import redis

from deploy.local import wait
from tests.support.ledger import LedgerHarness, open_ledger
from tests.support.store import empty, running_store

wait.deadline_factor = 4.0


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the temporary files of this process and its children into pytest's own directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
    """The URL of this test process' own database."""
    with running_store() as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[redis.Redis]:
    """A client to the store, which is empty when the test starts."""
    client = redis.Redis.from_url(store_url)
    empty(client)
    yield client
    client.close()


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger over an empty store."""
    assert store.dbsize() == 0
    with open_ledger(store_url) as ledger:
        yield ledger
