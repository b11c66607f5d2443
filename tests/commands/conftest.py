"""A ledger in use while `SECRET_KEY` is rotated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.encryption.cipher import Cipher
from tests.support.ledger import TIMES, LedgerHarness, open_ledger
from tests.support.rotation import NEW, OLD
from tests.support.web import API_KEY


@pytest.fixture
def environment(
    store_url: str, store: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The environment of a process while the key is rotated."""
    config = tmp_path / "heliograph.toml"
    config.touch()
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(config))
    monkeypatch.setenv("SECRET_KEY", f"{NEW},{OLD}")
    monkeypatch.setenv("API_KEYS", f"ann:{API_KEY}")
    return monkeypatch


@pytest.fixture
def old(environment: pytest.MonkeyPatch, store_url: str) -> Iterator[LedgerHarness]:
    """A ledger of processes that know the old key only."""
    with open_ledger(store_url, TIMES, Cipher.of(OLD)) as ledger:
        yield ledger
