"""The fake Instagram as a fixture: one process per test worker, reset before every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.instagram.client import FakeInstagram


@pytest.fixture(scope="session")
def fake_instagram_process() -> Iterator[FakeInstagram]:
    """One fake Instagram for all tests of this worker."""
    with FakeInstagram() as fake_instagram:
        yield fake_instagram


@pytest.fixture
def fake_instagram(fake_instagram_process: FakeInstagram) -> FakeInstagram:
    """The worker's fake Instagram, reset."""
    fake_instagram_process.reset()
    return fake_instagram_process
