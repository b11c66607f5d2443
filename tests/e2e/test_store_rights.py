"""The processes do their work as the users of docs/storage.md, with no right more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until
from service.cli import main
from tests.support.scenario import Scenario
from tests.support.store_rights import make_users


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    """Filled by the stack: each process' own URL."""
    return {}


@pytest.fixture
def stack(tmp_path: Path, urls: dict[str, str]) -> Iterator[Stack]:
    """A stack whose processes each have their own user."""
    with Stack(tmp_path, processes=()) as running:
        urls |= make_users(running.redis_url)
        for name in ("web", "worker", "scheduler"):
            running.start(name, environ={"REDIS_URL": urls[name], "LEASE_SECONDS": "2"})
        until(running.ready, 60, "the web process")
        yield running


@pytest.fixture
def scenario(stack: Stack) -> Iterator[Scenario]:
    """Events, jobs and requests of one test."""
    made = Scenario(stack, "rights")
    yield made
    made.api.close()


def denied(stack: Stack) -> list[Any]:
    """What the store has refused a user."""
    with redis.Redis.from_url(stack.redis_url) as admin:
        log: Any = admin.acl_log()
    return [(entry["username"], entry["reason"], entry["object"]) for entry in log]


def test_the_main_job_needs_no_more_than_the_documented_rights(
    stack: Stack, scenario: Scenario, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # When an event, an export, a report, a lookup and the operator's actions are served
    paid = scenario.send("checkout.session.completed")
    assert paid.status == 202
    job = scenario.wait_final(paid.body["jobs"][0])
    assert job["status"] == "succeeded"
    assert scenario.wait_callbacks(job["id"])
    api = scenario.api
    export = api.post("/users/some.handle/followers", json={}).raise_for_status().json()
    assert scenario.wait_final(export["id"])["status"] == "succeeded"
    assert api.get(f"/jobs/{export['id']}/result").status_code == 200
    report = api.post("/reports", json={"format": "pdf"}).raise_for_status().json()
    assert scenario.wait_final(report["id"])["status"] == "succeeded"
    assert api.get(f"/jobs/{report['id']}/result").content.startswith(b"%PDF-")
    assert api.get("/stats").json()["total"]["sent"] == 1
    assert api.get("/users/some.handle").status_code == 200
    assert api.put("/suppressions/rude.person", json={}).status_code in (200, 201)
    assert api.delete("/suppressions/rude.person").status_code in (200, 204)
    for path in ("/accounts/shop/pause", "/accounts/shop/resume", "/pause", "/resume"):
        assert api.post(path).status_code == 200, path
    for path in ("/jobs", "/events", "/deliveries", "/audit", "/accounts", "/suppressions"):
        assert api.get(path).status_code == 200, path
    assert api.post(f"/events/{paid.body['event_id']}/replay").status_code == 202
    with api.stream("GET", f"/jobs/{job['id']}/live") as live:
        assert live.status_code == 200
    assert scenario.api.get("/metrics").status_code == 200
    # And the scheduler has rung, and a worker that stops has handed back what it held
    until(lambda: "scheduler started" in _log(stack, "scheduler"), 30, "the scheduler")
    stack.processes["worker"].stop(30)
    # Then the store has refused nobody anything, and doctor finds all rights
    assert denied(stack) == []
    for name, value in {**stack.environ(), "REDIS_URL": urls["doctor"]}.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor", "--repair"]) == 0
    assert denied(stack) == []


def _log(stack: Stack, label: str) -> str:
    return (stack.directory / f"{label}.log").read_text()


def test_a_process_without_a_right_says_which(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url) as admin:
        admin.execute_command("ACL", "SETUSER", "heliograph-web", "-xadd")
    answer = send(
        f"{stack.url}/webhooks/stripe", stack.webhook_secret, event("checkout.session.completed")
    )
    assert answer.status == 503
    assert "lacks a right" in answer.body["error"]["message"]
    assert ("heliograph-web", "command", "xadd") in denied(stack)
