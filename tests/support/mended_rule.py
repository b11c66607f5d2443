"""A rule whose recipient has a typo, and the deploy that corrects it."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    folder = tmp_path / "wrong"
    folder.mkdir()
    with run_web(store_url, folder, WRONG_CONFIG) as port, connect(port, store) as found:
        yield found


@pytest.fixture
def mended_web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """The same application after a deploy that corrected the rule."""
    folder = tmp_path / "mended"
    folder.mkdir()
    with run_web(store_url, folder, MENDED_CONFIG) as port, connect(port, store) as found:
        yield found


def paid(number: int) -> bytes:
    """An event for the rule, about a recipient of its own."""
    document = {"id": f"evt_{number}", "type": "paid", "data": {"object": {"handle": f"h{number}"}}}
    return json.dumps(document).encode()
