"""The web application, and its ledger with which tests act as a worker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.ledger import LedgerHarness, open_ledger
from tests.support.lookups import new_username
from tests.support.web import WebHarness, connect, run_web, web, web_port

__all__ = ["web", "web_port"]


@pytest.fixture
def ledger(web: WebHarness, store_url: str) -> Iterator[LedgerHarness]:
    """The ledger of the application's store."""
    with open_ledger(store_url) as ledger:
        yield ledger


@pytest.fixture
def name() -> str:
    """A username that has not been looked up."""
    return new_username()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Sends requests in the background."""
    with ThreadPoolExecutor(40) as pool:
        yield pool


@pytest.fixture
def second_web(web: WebHarness, store_url: str, tmp_path: Path) -> Iterator[WebHarness]:
    """A second web process on the same Redis."""
    with run_web(store_url, tmp_path) as port, connect(port, web.store) as found:
        yield found
