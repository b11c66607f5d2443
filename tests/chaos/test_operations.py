"""A kill of the worker that drives an operation: another goes on, and each job is done once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from deploy.local.wait import until
from service.operations.store import STEP
from tests.chaos.cluster import Cluster, Victim
from tests.chaos.failpoints import OPERATION_STEPS
from tests.chaos.test_failpoints import VICTIMS
from tests.support.operations import confirm, plan

COUNT = 2 * STEP + 1


@pytest.fixture
def api(cluster: Cluster) -> Iterator[httpx.Client]:
    """A client of the cluster's web process."""
    headers = {"Authorization": f"Bearer {cluster.stack.api_key}"}
    url = cluster.stack.url
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", OPERATION_STEPS)
def test_an_operation_goes_on_where_the_killed_worker_stopped(
    cluster: Cluster, api: httpx.Client, step: str, victim: Victim
) -> None:
    # Given many jobs of next hour, and a worker or store that dies between two steps
    batch = os.urandom(4).hex()
    job = {"kind": "dm", "account": "shop", "to": "jenny", "text": "Hi", "delay_seconds": 3600}
    jobs = [{**job, "metadata": {"batch": batch}}] * COUNT
    assert api.post("/jobs", json=jobs).status_code == 200
    planned = plan(api, "cancel", {"metadata": {"batch": batch}})
    failpoint = cluster.arm_failpoint(step, victim)
    # When they are canceled
    path = confirm(api, planned).headers["location"]
    cluster.wait_triggered(failpoint)
    until(lambda: _status(api, path) == "completed", 40, "the operation's end")
    # Then each is, once
    operation = api.get(path).json()
    assert (operation["done"], operation["results"]) == (COUNT, {"canceled": COUNT})
    found = api.get("/jobs", params={"metadata[batch]": batch, "limit": 200}).json()["items"]
    assert {each["status"] for each in found} == {"canceled"}
    ended = [each["status"] for each in _timeline(api, found[0]["id"])]
    assert ended.count("canceled") == 1
    cluster.check_promises()


def _status(api: httpx.Client, path: str) -> str | None:
    try:
        answer = api.get(path)
    except httpx.TransportError:
        return None  # the web process has lost its store
    return str(answer.json().get("status"))


def _timeline(api: httpx.Client, job_id: str) -> list[dict[str, str]]:
    items: list[dict[str, str]] = api.get(f"/jobs/{job_id}/timeline").json()["items"]
    return items
