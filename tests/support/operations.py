"""Operations through the API, with a worker's own code to drive them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from actors.operations import run_operation
from actors.runtime import Runtime
from service.config.config import parse_config
from tests.support.ledger import LedgerHarness
from tests.support.runtime import make_runtime


def plan(api: httpx.Client, action: str, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Plan an operation on jobs; returns the answer's body."""
    return _planned(api, "/jobs:bulk", {"action": action, "filter": filter_, **more})


def confirm(api: httpx.Client, planned: dict[str, Any], **more: Any) -> httpx.Response:
    """Send what was planned again, with its token; returns the answer."""
    names = ("action", "filter", "token")
    return api.post("/jobs:bulk", json={name: planned[name] for name in names} | more)


def drive(ledger: LedgerHarness, operation_id: str, config: str = "", workers: int = 1) -> None:
    """Do what a worker does with the operation's message.

    Parameters:
      ledger: The ledger, on whose event loop the worker works.
      operation_id: The operation.
      config: The worker's heliograph.toml; its rules are what a replay runs.
      workers: How many do so at once.
    """
    runtime = make_runtime(ledger, rule_config=parse_config(config))
    try:
        ledger.run(_drive(runtime, operation_id, workers))
    finally:
        runtime.heartbeat.stop()


async def _drive(runtime: Runtime, operation_id: str, workers: int) -> None:
    await asyncio.gather(*(run_operation(runtime, operation_id) for _ in range(workers)))


def plan_replay(api: httpx.Client, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Plan a replay of events; returns the answer's body."""
    return _planned(api, "/events:replay", {"filter": filter_, **more})


def _planned(api: httpx.Client, path: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, json=request)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def confirm_replay(api: httpx.Client, planned: dict[str, Any], **more: Any) -> httpx.Response:
    """Send what was planned again, with its token; returns the answer."""
    names = ("filter", "rule", "token")
    return api.post("/events:replay", json={name: planned[name] for name in names} | more)
