"""The web application with a rule for every event of every sender."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.real_senders import CONFIG
from tests.support.web import WebHarness, connect_again, run_web


@pytest.fixture(scope="session")
def senders_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of one application for all tests of this process."""
    with run_web(store_url, tmp_path_factory.mktemp("senders"), CONFIG) as port:
        yield port


@pytest.fixture
def web(senders_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """The application over an empty store."""
    with connect_again(senders_port, store) as found:
        yield found
