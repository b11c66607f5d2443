"""A customer's server that hangs, through real processes: the other customers notice nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import CONFIG, Stack
from tests.support.journey import Journey

#: Several times as many as the worker takes at a time.
DEAD = 120
CONCURRENCY = 30


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    """A way through a stack of its own, with a callback `dead` to a server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=DEAD) as never_accepts:
        config = tmp_path / "heliograph.toml"
        url = f"http://127.0.0.1:{never_accepts.getsockname()[1]}/"
        dead = f'[callbacks.dead]\nurl = "{url}"\nsecrets = ["env:CALLBACK_SECRET"]\n'
        config.write_text(f"{CONFIG.read_text()}\n{dead}")
        environ = {"WORKER_CONCURRENCY": str(CONCURRENCY)}
        with Stack(tmp_path / "stack", config=config, environ=environ) as stack:
            journey = Journey(stack, "callbacks")
            yield journey
            journey.api.close()
            # It would give the hanging attempts their time to end.
            stack.processes["worker"].kill()


def test_a_hanging_endpoint_does_not_hold_up_the_callbacks_of_others(journey: Journey) -> None:
    # Given many callbacks that are owed to a server that hangs
    for _ in range(DEAD):
        _canceled(journey, "dead")
    # When one is owed to another, then it comes within seconds
    assert journey.called_back(_canceled(journey, "crm"), seconds=8)
    pending = journey.api.get("/deliveries", params={"status": "pending"}).json()["items"]
    assert {delivery["callback"] for delivery in pending} == {"dead"}


def _canceled(journey: Journey, callback: str) -> str:
    job_id = journey.order(callback=callback, delay_seconds=600)
    journey.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    return job_id
