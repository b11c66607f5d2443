"""The baselines work correctly under a short load, so that the benchmark is fair."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from deploy.local.wait import until
from tests.bench.baselines.serving import OUTSIDE, REDIS, SECRET
from tests.bench.events import paid_event, unpaid_event
from tests.bench.load import Load, run
from tests.bench.servers import Server, baseline
from tests.bench.slow_server import SlowServer, run_slow_server

WEBHOOK_SECRET = f"whsec_{secrets.token_hex(24)}"
COUNT = 6

Run = Callable[[str], Server]


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowServer]:
    with run_slow_server(tmp_path_factory.mktemp("slow_server")) as server:
        yield server


@pytest.fixture
def environ(store_url: str, slow_server: SlowServer) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        SECRET: WEBHOOK_SECRET,
        REDIS: store_url,
        OUTSIDE: f"http://127.0.0.1:{slow_server.port}/",
    }


def load(server: Server) -> Load:
    events = [paid_event(), unpaid_event()]
    return Load(server.hook, events, WEBHOOK_SECRET, count=COUNT, connections=2)


@pytest.mark.parametrize(
    ("name", "queued"),
    [
        ("ceiling", {}),
        ("send", {"dramatiq:default": COUNT}),
        ("delay", {"celery": COUNT}),
    ],
)
def test_a_webhook_baseline_queues_signed_events(
    name: str,
    queued: dict[str, int],
    environ: dict[str, str],
    store: redis.Redis,
    tmp_path: Path,
) -> None:
    with baseline(name, environ, tmp_path) as server:
        assert run(load(server)).statuses == {"202": COUNT}
        assert run(replace(load(server), secret="another")).statuses == {"400": COUNT}
    lists = store.scan_iter(_type="list")
    assert {key.decode(): store.llen(key) for key in lists} == queued


@pytest.mark.parametrize("name", ["blocking", "threads", "background"])
def test_a_baseline_without_a_queue_makes_a_call_per_payment(
    name: str, environ: dict[str, str], slow_server: SlowServer, tmp_path: Path
) -> None:
    slow_server.take(0)
    with baseline(name, environ, tmp_path) as server:
        taken = run(load(server))
        alive = run(replace(load(server), url=f"{server.url}/healthz", events=()))
        assert (taken.statuses, alive.statuses) == ({"202": COUNT}, {"200": COUNT})
        # One of them makes its calls after it has answered
        until(lambda: slow_server.most() >= 1, 20, "a call")


def test_a_load_counts_unanswered_requests(
    environ: dict[str, str], slow_server: SlowServer
) -> None:
    # Given a server that does not answer for long
    slow_server.take(30)
    # When three requests are due on one connection
    asked = Load(
        f"http://127.0.0.1:{slow_server.port}/",
        count=3,
        seconds=0.2,
        connections=1,
        per_second=20,
    )
    timings = run(asked)
    # Then each has waited since it was due
    assert (timings.unanswered, timings.statuses, len(timings.seconds)) == (3, {}, 3)
    assert timings.percentile(0) < timings.percentile(0.99)
