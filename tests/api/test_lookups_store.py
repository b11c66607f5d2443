"""Lookups while Redis is down, full or slow, and clients that disconnect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.valkey import Valkey
from service.api.lookups import NdjsonResponse
from tests.support.ledger import SECOND, LedgerHarness, open_ledger
from tests.support.lookups import cache_profile, new_username
from tests.support.web import WebHarness, connect, run_web


@pytest.fixture
def breakable_web(tmp_path: Path) -> Iterator[tuple[Valkey, WebHarness, LedgerHarness]]:
    """An application on a Redis of its own that can be killed."""
    with (
        Valkey(tmp_path / "valkey") as own,
        redis.Redis.from_url(own.url) as client,
        run_web(own.url, tmp_path) as port,
        connect(port, client) as web,
        open_ledger(own.url) as ledger,
    ):
        yield own, web, ledger


def test_fresh_copies_are_sent_while_redis_is_down(
    breakable_web: tuple[Valkey, WebHarness, LedgerHarness],
) -> None:
    store, web, ledger = breakable_web
    here, other = new_username(), new_username()
    found = cache_profile(web, ledger, here)
    assert web.api.get(f"/users/{here}").status_code == 200
    # When Redis is down
    store.kill()
    # Then local copies are sent, and the rest is unavailable
    assert web.api.get(f"/users/{here}").json() == found
    response = web.api.get(f"/users/{other}")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert response.headers["Retry-After"] == "5"
    items = web.api.get("/users", params={"username": [here, other]}).json()["items"]
    assert items[0]["user"] == found
    assert items[1]["error"]["code"] == "store_unavailable"
    assert web.api.get("/users", params={"username": [other]}).status_code == 503
    lines = web.api.get(
        "/users", params={"username": [other]}, headers={"Accept": "application/x-ndjson"}
    )
    assert json.loads(lines.text)["error"]["code"] == "store_unavailable"
    # And once it is back, lookups work again
    store.start()
    assert web.api.get(f"/users/{other}", params={"wait": 0}).status_code == 202


@pytest.mark.parametrize(
    "command",
    [("CONFIG", "SET", "maxmemory", "1"), ("REPLICAOF", "127.0.0.1", "1")],
    ids=["full", "read-only"],
)
def test_a_redis_without_memory_serves_its_copies(
    breakable_web: tuple[Valkey, WebHarness, LedgerHarness], command: tuple[str, ...]
) -> None:
    _, web, ledger = breakable_web
    name = new_username()
    found = cache_profile(web, ledger, name)
    ledger.pass_time(301 * SECOND)
    store: Any = web.store
    store.execute_command(*command)
    response = web.api.get(f"/users/{name}")
    assert (response.status_code, response.json()) == (200, found)
    assert response.headers["Warning"] == '111 - "Revalidation Failed: store_unavailable"'
    assert web.api.get(f"/users/{new_username()}").status_code == 503


def test_items_are_canceled_when_the_client_disconnects() -> None:
    async def listener_leaves() -> list[asyncio.Task[bytes]]:
        async def never() -> bytes:
            await asyncio.Event().wait()
            return b""

        items = [asyncio.create_task(never()) for _ in range(5)]
        begun = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                begun.set()

        scope = {"type": "http", "method": "GET", "headers": []}
        await NdjsonResponse(items)(scope, receive, send)
        await asyncio.wait(items, timeout=5)
        return items

    assert [item.cancelled() for item in asyncio.run(listener_leaves())] == [True] * 5
