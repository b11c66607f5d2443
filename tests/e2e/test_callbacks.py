"""A callback endpoint that hangs does not affect the others (real processes)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.config_file import usual_config, write_config
from tests.support.scenario import Scenario

#: Several times the worker's concurrency.
DEAD = 120
CONCURRENCY = 30


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """A stack of its own, with a callback `dead` to a server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=DEAD) as never_accepts:
        url = f"http://127.0.0.1:{never_accepts.getsockname()[1]}/"
        document = usual_config(callbacks={"dead": {"url": url}})
        config = write_config(tmp_path / "heliograph.toml", document)
        environ = {"WORKER_CONCURRENCY": str(CONCURRENCY)}
        with Stack(tmp_path / "stack", config=config, environ=environ) as stack:
            scenario = Scenario(stack, "callbacks")
            yield scenario
            scenario.api.close()
            # A normal stop would wait for the hanging attempts.
            stack.processes["worker"].kill()


def test_a_hanging_endpoint_does_not_hold_up_the_callbacks_of_others(scenario: Scenario) -> None:
    # Given many deliveries to a server that hangs
    for _ in range(DEAD):
        _canceled(scenario, "dead")
    # When one is due to another server, then it arrives within seconds
    assert scenario.wait_callbacks(_canceled(scenario, "crm"), seconds=8)
    pending = scenario.api.get("/deliveries", params={"status": "pending"}).json()["items"]
    assert {delivery["callback"] for delivery in pending} == {"dead"}


def _canceled(scenario: Scenario, callback: str) -> str:
    job_id = scenario.create_dm(callback=callback, delay_seconds=600)
    scenario.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    return job_id
