"""A rule whose recipient has a typo, and the deploy that corrects it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.support.web import CONFIG, WebHarness, connect, run_web

TYPO_RULE = """
[[rules]]
name = "typo"
source = "stripe"
event = "paid"
action = "dm"
account = "shop"
to = "{{ object.%s }}"
text = "Thank you!"
callback = "crm"
"""
WRONG_CONFIG = CONFIG + TYPO_RULE % "hadnle"
MENDED_CONFIG = CONFIG + TYPO_RULE % "handle"


@pytest.fixture
def wrong_web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """The application with a rule whose recipient has a typo."""
    with _serving(WRONG_CONFIG, store_url, store, tmp_path / "wrong") as web:
        yield web


@pytest.fixture
def mended_web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """The same application after a deploy that corrected the rule."""
    with _serving(MENDED_CONFIG, store_url, store, tmp_path / "mended") as web:
        yield web


@contextmanager
def _serving(config: str, store_url: str, store: redis.Redis, folder: Path) -> Iterator[WebHarness]:
    folder.mkdir()
    with run_web(store_url, folder, config) as port, connect(port, store) as web:
        yield web


def paid(number: int) -> bytes:
    """An event for the rule, about a recipient of its own."""
    document = {"id": f"evt_{number}", "type": "paid", "data": {"object": {"handle": f"h{number}"}}}
    return json.dumps(document).encode()
