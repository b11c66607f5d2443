"""A customer's server that hangs, through real processes: the other customers notice nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.config_file import usual_config, write_config
from tests.support.scenario import Scenario

#: Several times as many as the worker takes at a time.
DEAD = 120
CONCURRENCY = 30


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """A way through a stack of its own, with a callback `dead` to a server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=DEAD) as never_accepts:
        url = f"http://127.0.0.1:{never_accepts.getsockname()[1]}/"
        document = usual_config(callbacks={"dead": {"url": url}})
        config = write_config(tmp_path / "heliograph.toml", document)
        environ = {"WORKER_CONCURRENCY": str(CONCURRENCY)}
        with Stack(tmp_path / "stack", config=config, environ=environ) as stack:
            scenario = Scenario(stack, "callbacks")
            yield scenario
            scenario.api.close()
            # It would give the hanging attempts their time to end.
            stack.processes["worker"].kill()


def test_a_hanging_endpoint_does_not_hold_up_the_callbacks_of_others(scenario: Scenario) -> None:
    # Given many callbacks that are owed to a server that hangs
    for _ in range(DEAD):
        _canceled(scenario, "dead")
    # When one is owed to another, then it comes within seconds
    assert scenario.wait_callbacks(_canceled(scenario, "crm"), seconds=8)
    pending = scenario.api.get("/deliveries", params={"status": "pending"}).json()["items"]
    assert {delivery["callback"] for delivery in pending} == {"dead"}


def _canceled(scenario: Scenario, callback: str) -> str:
    job_id = scenario.create_dm(callback=callback, delay_seconds=600)
    scenario.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    return job_id
