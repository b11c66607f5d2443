"""A kill at each step of a page: the export resumes after it and has every follower once."""

from __future__ import annotations

import json
import signal
import uuid

import httpx
import pytest

from deploy.local.wait import until
from tests.chaos.cluster import ROUNDS, Cluster, Victim
from tests.chaos.failpoints import EXPORT_STEPS
from tests.support.follower_exports import follower_pks
from tests.support.store import given_store

MANY = 1_250
#: A Redis given by TEST_REDIS_URL is not killed.
VICTIMS: tuple[Victim, ...] = ("process", "store") if given_store() is None else ("process",)


def api(cluster: Cluster) -> httpx.Client:
    headers = {"Authorization": f"Bearer {cluster.stack.api_key}"}
    return httpx.Client(base_url=cluster.stack.url, headers=headers, timeout=30)


def begin(cluster: Cluster) -> str:
    """Start an export of a new user's followers; return its id."""
    name = f"star.{uuid.uuid4().hex[:8]}"
    cluster.stack.fake_instagram.add_user(name, followers=MANY)
    once = {"Idempotency-Key": name}
    with api(cluster) as client:

        def begun() -> httpx.Response | None:
            # The other accounts are not logged in yet.
            body = {"account": "shop"}
            answer = client.post(f"/users/{name}/followers", json=body, headers=once)
            # The store may die before it has answered.
            return None if answer.status_code == 503 else answer.raise_for_status()

        return str(until(begun, 30, f"an export of {name}").json()["id"])


def ends(cluster: Cluster, job_id: str, seconds: float = 60) -> None:
    """Wait for the export's end and check that it has every follower once and in order."""

    def ended() -> bool:
        try:
            job = client.get(f"/jobs/{job_id}").json()
        except httpx.TransportError:
            return False  # the web process is being restarted
        return "finished_at" in job and job["finished_at"] is not None

    with api(cluster) as client:
        until(ended, seconds, f"the end of {job_id}")
        job = client.get(f"/jobs/{job_id}").json()
        assert (job["status"], job["result"]["users"]) == ("succeeded", MANY), job
        rows = client.get(f"/jobs/{job_id}/result").raise_for_status().text
    assert [json.loads(line)["pk"] for line in rows.splitlines()] == follower_pks(0, MANY)


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", EXPORT_STEPS)
def test_a_kill_at_this_step_costs_a_page_and_doubles_no_row(
    cluster: Cluster, step: str, victim: Victim
) -> None:
    for _ in range(ROUNDS):
        # Given an export whose worker, or store, dies when it reaches this step
        failpoint = cluster.arm_failpoint(step, victim)
        job_id = begin(cluster)
        cluster.wait_triggered(failpoint)
        # Then it has every follower once
        ends(cluster, job_id)
        cluster.check_promises()


@pytest.mark.parametrize("step", EXPORT_STEPS)
def test_a_worker_frozen_at_this_step_adds_nothing_to_its_successors_rows(
    cluster: Cluster, step: str
) -> None:
    # Given a worker that freezes there for longer than its lease
    failpoint = cluster.arm_failpoint(step, number=signal.SIGSTOP)
    job_id = begin(cluster)
    cluster.wait_triggered(failpoint)
    # When another has finished the export, and the frozen one resumes
    ends(cluster, job_id)
    cluster.thaw()
    # Then the next export, by both, has every follower once, and so has the first
    ends(cluster, begin(cluster))
    ends(cluster, job_id)
    cluster.check_promises()
