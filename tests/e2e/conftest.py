"""The whole stack for the tests of this folder: one per test process, with short leases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.stack import Stack
from tests.support.scenario import Scenario
from tests.support.store import given_store

#: Short, so that jobs of a killed worker resume within seconds.
SHORT = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
#: Callbacks may reach a network that photos may not.
NETWORKS = {"CALLBACK_ALLOW_CIDRS": "127.0.0.0/8,0.0.0.0/8", "PHOTO_ALLOW_CIDRS": "127.0.0.0/8"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web, worker and scheduler with a real store, the fake Instagram and a receiver."""
    directory: Path = tmp_path_factory.mktemp("stack")
    url = given_store(offset=8)
    if url is not None:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    with Stack(directory, environ=SHORT | NETWORKS, redis_url=url) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's events and jobs on the stack, whose processes run and which has no faults."""
    made = Scenario(stack, f"{request.node.name}-{os.urandom(4).hex()}")
    made.begin()
    yield made
    made.end()
