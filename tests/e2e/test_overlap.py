"""Deploys overlap: processes with an older and a newer configuration share one store."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.jobs.next_steps import UNKNOWN_CONFIG_MS
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import free_port, is_ready, until
from tests.support.config_file import usual_config, write_config
from tests.support.time_travel import pass_time


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The old version's web process, and no worker yet."""
    with Stack(tmp_path, processes=("web",)) as running:
        yield running


def test_a_renamed_rule_between_two_deliveries_of_one_event_makes_no_second_job(
    stack: Stack, tmp_path: Path
) -> None:
    # Given a newer web process beside the old one, with the rule under another name
    renamed = usual_config()
    renamed["rules"][0]["name"] = "thanks"
    port = _newer_web(stack, tmp_path, renamed)
    document = event("checkout.session.completed")
    # When the event arrives at the old one and again at the new one
    first = send(f"{stack.url}/webhooks/stripe", stack.webhook_secret, document)
    newer = f"http://127.0.0.1:{port}/webhooks/stripe"
    again = send(newer, stack.webhook_secret, document)
    # Then it still has its one job
    assert (first.status, again.status) == (202, 200)
    assert again.body == {**first.body, "duplicate": True}


def test_a_job_with_an_unknown_callback_waits_for_a_worker_that_knows_it(
    stack: Stack, tmp_path: Path
) -> None:
    # Given an old worker whose configuration lacks the callback
    document = usual_config()
    del document["callbacks"]
    for rule in document["rules"]:
        del rule["callback"]
    older = write_config(tmp_path / "older.toml", document)
    stack.start("worker", "worker-old", {"HELIOGRAPH_CONFIG": str(older)})
    hook = f"{stack.url}/webhooks/stripe"
    answer = send(hook, stack.webhook_secret, event("checkout.session.completed"))
    job_id = answer.body["jobs"][0]
    until(lambda: _job(stack, job_id)["status"] == "held", 20, "the hold")
    assert _job(stack, job_id)["wait"]["reason"] == "unknown_callback"
    assert stack.fake_instagram.dms() == []
    # When the new worker replaces it
    stack.processes["worker-old"].stop()
    stack.start("worker")
    with redis.Redis.from_url(stack.redis_url) as store:
        pass_time(store, UNKNOWN_CONFIG_MS)
    # Then the job is done, with a callback
    until(stack.receiver.received, 20, "the callback")
    assert len(stack.fake_instagram.dms()) == 1


def _newer_web(stack: Stack, tmp_path: Path, document: dict[str, Any]) -> int:
    config, port = write_config(tmp_path / "newer.toml", document), free_port()
    stack.start("web", "web-new", {"HELIOGRAPH_CONFIG": str(config), "PORT": str(port)})
    until(lambda: is_ready(f"http://127.0.0.1:{port}"), 30, "the newer web process")
    return port


def _job(stack: Stack, job_id: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{stack.url}/jobs/{job_id}", headers={"Authorization": f"Bearer {stack.api_key}"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        job: dict[str, Any] = json.load(answer)
        return job
