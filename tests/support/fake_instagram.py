"""The stand-in Instagram as a fixture: one process per test worker, reset before every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.instagram.client import StandIn


@pytest.fixture(scope="session")
def standin_process() -> Iterator[StandIn]:
    """One stand-in for all tests of this worker."""
    with StandIn() as standin:
        yield standin


@pytest.fixture
def standin(standin_process: StandIn) -> StandIn:
    """The worker's stand-in, as good as new."""
    standin_process.reset()
    return standin_process
