"""The fake Instagram, and gateways to it, for every test of this folder."""

from __future__ import annotations

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from tests.support.fake_instagram import fake_instagram, fake_instagram_process
from tests.support.gateway import GatewayHarness

__all__ = ["fake_instagram", "fake_instagram_process"]


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    """A fake Instagram and an empty store."""
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)
