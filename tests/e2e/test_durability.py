"""`DURABILITY=replica` through real processes: no replica, no acknowledgement and no write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.replicas import Replica, replica_of
from tests.support.scenario import Scenario


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack without processes, whose store has no replica yet."""
    environ = {"DURABILITY": "replica", "LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
    with Stack(tmp_path, processes=(), environ=environ) as running:
        yield running


@pytest.fixture
def replica(stack: Stack) -> Iterator[Replica]:
    """A replica of its store."""
    with redis.Redis.from_url(stack.redis_url) as store, replica_of(store) as attached:
        yield attached


@pytest.fixture
def scenario(stack: Stack) -> Iterator[Scenario]:
    """Events, jobs and requests of one test."""
    made = Scenario(stack, "durable")
    yield made
    made.api.close()


def start(stack: Stack) -> None:
    """Start web and worker, and wait until they work."""
    for name in ("web", "worker"):
        stack.start(name)
    until(stack.ready, 60, "the web process")


def test_without_a_replica_processes_say_so_when_they_start_and_refuse(stack: Stack) -> None:
    for name in ("web", "worker"):
        stack.start(name)
        until(lambda name=name: "DURABILITY cannot be kept" in _log(stack, name), 60, name)  # type: ignore[misc]
    refused = until(lambda: _readiness(stack), 60, "an answer")
    assert refused.status_code == 503
    assert "no replica has confirmed" in refused.json()["error"]["message"]
    assert all(process.returncode is None for process in stack.processes.values())


def test_an_event_without_a_replica_is_refused_then_known_and_makes_one_dm(
    stack: Stack, scenario: Scenario, replica: Replica
) -> None:
    start(stack)
    # Given a store that has lost its replica
    replica.cut()
    # When an event comes, then it is not acknowledged
    refused = scenario.send("checkout.session.completed")
    assert refused.status == 503
    message = refused.body["error"]["message"]
    assert message.startswith("Nothing is certain")
    assert "no replica has confirmed" in message
    # And no DM is sent: its job waits
    (job_id,) = [job["id"] for job in scenario.api.get("/jobs").json()["items"]]
    until(lambda: _waits_for_a_replica(scenario, job_id), 30, "a job that waits")
    assert scenario.dms() == []
    # And when a replica is back, the event sent again is known, and there is one DM
    replica.attach()
    again = until(lambda: _sent_again(scenario), 30, "an acknowledgement")
    assert again["duplicate"] is True
    assert again["jobs"] == [job_id]
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert len(scenario.dms()) == 1
    assert scenario.wait_callbacks(job_id)
    assert replica.client.hget(f"hg:job:{job_id}", "status") is not None
    metrics = scenario.api.get("/metrics").text
    assert 'heliograph_changes_not_durable_total{step="accept_events"} 1.0' in metrics


def _waits_for_a_replica(scenario: Scenario, job_id: str) -> bool:
    return (scenario.job(job_id)["wait"] or {}).get("reason") == "not_durable"


def _sent_again(scenario: Scenario) -> dict[str, object] | None:
    answer = scenario.send("checkout.session.completed")
    return answer.body if answer.status == 200 else None


def _readiness(stack: Stack) -> httpx.Response | None:
    try:
        return httpx.get(f"{stack.url}/readyz", trust_env=False)
    except httpx.TransportError:
        return None


def _log(stack: Stack, label: str) -> str:
    return (stack.directory / f"{label}.log").read_text()
