"""Redis fails and comes back: the processes keep running and recover by themselves."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until

#: The most lines that all processes together may log about an outage of some seconds.
MAX_LOG_LINES = 40


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with a store that may be killed."""
    with Stack(tmp_path, environ={"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}) as running:
        yield running


def test_processes_survive_an_outage_and_finish_acknowledged_work_after_it(
    stack: Stack,
) -> None:
    hook = f"{stack.url}/webhooks/stripe"
    # Given a DM in progress, one that is due later, and a store that is killed
    stack.fake_instagram.fault("broadcast_*", delay_seconds=2)
    first = _paid("first")
    assert send(hook, stack.webhook_secret, first).status == 202
    until(lambda: stack.fake_instagram.log(call="broadcast_text"), 20, "the write")
    pids = {name: process.pid for name, process in stack.processes.items()}
    lines_before = _lines(stack)
    stack.store.kill()
    # When it is away for longer than a lease, then webhooks get 503
    refused = send(hook, stack.webhook_secret, _paid("second"))
    assert refused.status == 503
    assert refused.body["error"]["code"] == "store_unavailable"
    until(lambda: len(stack.fake_instagram.dms()) == 1, 20, "the DM")
    with urllib.request.urlopen(f"{stack.url}/healthz", timeout=5) as alive:
        assert alive.status == 200
    _wait_for_missed_beats(stack, beats=6)
    stack.store.start()
    # Then the same processes finish both, with one DM and callback each, and log little
    until(lambda: send(hook, stack.webhook_secret, _paid("second")).status < 300, 20)
    until(lambda: len(_called_back(stack)) == 2, 40, "two callbacks")
    assert {name: process.pid for name, process in stack.processes.items()} == pids
    assert all(process.returncode is None for process in stack.processes.values())
    assert len(stack.fake_instagram.dms()) == 2
    assert _lines(stack) - lines_before < MAX_LOG_LINES


@pytest.mark.parametrize(
    ("fall", "recover"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    ],
    ids=["read-only", "out-of-memory"],
)
def test_while_the_store_refuses_writes_webhooks_get_503_and_nothing_is_lost(
    stack: Stack, fall: tuple[str, ...], recover: tuple[str, ...]
) -> None:
    hook = f"{stack.url}/webhooks/stripe"
    # Given a DM whose write is in progress when the store starts to refuse writes
    stack.fake_instagram.fault("broadcast_*", delay_seconds=1)
    assert send(hook, stack.webhook_secret, _paid("under-way")).status == 202
    until(lambda: stack.fake_instagram.log(call="broadcast_text"), 20, "the write")
    pids = {name: process.pid for name, process in stack.processes.items()}
    lines_before = _lines(stack)
    with redis.Redis.from_url(stack.redis_url) as client:
        client.execute_command(*fall)
        # When another event comes, then it gets 503
        refused = send(hook, stack.webhook_secret, _paid("refused"))
        assert (refused.status, refused.body["error"]["code"]) == (503, "store_unavailable")
        _wait_for_missed_beats(stack, beats=6)
        client.execute_command(*recover)
    # Then both end by themselves, with one DM and one callback each
    until(lambda: send(hook, stack.webhook_secret, _paid("refused")).status < 300, 20)
    until(lambda: len(_called_back(stack)) == 2, 40, "two callbacks")
    assert len(stack.fake_instagram.dms()) == 2
    assert {name: process.pid for name, process in stack.processes.items()} == pids
    assert _lines(stack) - lines_before < MAX_LOG_LINES


def test_processes_that_start_before_redis_wait_for_it_quietly(stack: Stack) -> None:
    # Given every process, and no store
    for process in stack.processes.values():
        assert process.stop() in (0, -15, 143)
    stack.store.kill()
    for name in ("web", "worker", "scheduler"):
        stack.start(name)
    until(lambda: "waiting for redis" in _log(stack, "worker"), 20, "the worker's word")
    until(lambda: "waiting for redis" in _log(stack, "scheduler"), 20, "the scheduler's")
    # When the store starts
    stack.store.start()
    # Then they work, and each has logged the outage once
    until(stack.ready)
    hook = f"{stack.url}/webhooks/stripe"
    assert send(hook, stack.webhook_secret, _paid("early")).status == 202
    until(lambda: len(_called_back(stack)) == 1, 40, "the callback")
    assert _log(stack, "worker").count("waiting for redis") == 1


def test_a_worker_that_waits_for_redis_can_be_stopped(stack: Stack) -> None:
    stack.processes["worker"].stop()
    stack.store.kill()
    worker = stack.start("worker", "worker-early")
    until(lambda: "waiting for redis" in _log(stack, "worker-early"), 20)
    assert worker.stop(20) == 0


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_a_worker_with_a_write_in_progress_stops_in_time_without_redis(
    stack: Stack, frozen: bool
) -> None:
    # Given a write that hangs, and a store that does not answer
    stack.fake_instagram.fault("broadcast_*", delay_seconds=60)
    send(f"{stack.url}/webhooks/stripe", stack.webhook_secret, _paid("hanging"))
    until(lambda: stack.fake_instagram.log(call="broadcast_text"), 20, "the write")
    with redis.Redis.from_url(stack.redis_url) as client:
        store = int(client.info()["process_id"])
    os.kill(store, signal.SIGSTOP if frozen else signal.SIGKILL)
    # When the worker is told to stop
    started = time.monotonic()
    try:
        code = stack.processes["worker"].stop(30)
    finally:
        if frozen:
            os.kill(store, signal.SIGCONT)
    # Then it exits by itself
    assert code == 0
    assert time.monotonic() - started < 25
    assert "Traceback" not in _log(stack, "worker")


def _paid(name: str) -> dict[str, object]:
    document = event("checkout.session.completed", id=f"evt_{name}")
    document["data"]["object"]["payment_intent"] = f"pi_{name}"
    return document


def _called_back(stack: Stack) -> set[str]:
    return {each["event"]["data"]["job_id"] for each in stack.receiver.received()}


def _log(stack: Stack, label: str) -> str:
    return (stack.directory / f"{label}.log").read_text()


def _lines(stack: Stack) -> int:
    return sum(len(log.read_text().splitlines()) for log in stack.directory.glob("*.log"))


def _wait_for_missed_beats(stack: Stack, beats: int) -> None:
    """Wait until the worker's heartbeat has failed so often: longer than a lease."""
    before = os.times().elapsed
    until(lambda: os.times().elapsed - before > beats * 0.5, 30)
    assert json.loads(_log(stack, "web").splitlines()[-1])
