"""What a thousand live subscribers cost a web process, and how soon all see a change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.bench.table import Goal, Row, median
from tests.support.many_subscribers import (
    close_all,
    request,
    resident_bytes,
    subscribe_many,
    wait_for_word,
)

SUBSCRIBERS = 1_000
CHANGES = 10
MAX_MB = 60
JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello", "delay_seconds": 3600}


@dataclass(frozen=True)
class Cost:
    """What subscribers cost.

    Parameters:
      megabytes: The growth of the process, in MB.
      seconds: For each change, the time until all have received it.
    """

    megabytes: float
    seconds: Sequence[float]


def measure(directory: Path) -> Sequence[Row]:
    """Open a thousand subscriptions to one fresh web process after another."""
    with Stack(directory, processes=("web",)) as stack:
        costs = {
            "events of all jobs": _cost(stack, "/live"),
            "WebSockets of all jobs": _cost(stack, "/live", upgraded=True),
            "events of one job": _cost(stack, None),
        }
    memory = {name: cost.megabytes for name, cost in costs.items()}
    latency = {name: 1000 * median(cost.seconds) for name, cost in costs.items()}
    how = f"resident memory of one web process with {SUBSCRIBERS:,} subscribers, less that with 20"
    goal = Goal("the most", max(memory.values()), "<", MAX_MB, "MB")
    how = f"from the request that changes a job until {SUBSCRIBERS:,} have received it, median"
    return [
        Row("Live subscribers: memory", how, memory, "MB", [goal]),
        Row("Live subscribers: one change", how, latency, "ms"),
    ]


def _cost(stack: Stack, path: str | None, *, upgraded: bool = False) -> Cost:
    stack.processes["web"].stop()
    stack.start("web")
    until(stack.ready)
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.url, headers=bearer, trust_env=False) as api:
        return asyncio.run(_listen(stack, api, path, upgraded))


async def _listen(stack: Stack, api: httpx.Client, path: str | None, upgraded: bool) -> Cost:
    async def ask(method: str, path: str, body: object = None) -> str:
        return await asyncio.to_thread(_ask, api, method, path, body)

    watched = await ask("POST", "/jobs", JOB)
    path = path or f"/jobs/{watched}/live"
    head = request(path, stack.api_key, upgraded=upgraded)
    subscribers = await subscribe_many(stack.port, head, 20)
    before = resident_bytes(stack.processes["web"].pid)
    subscribers += await subscribe_many(stack.port, head, SUBSCRIBERS - len(subscribers))
    seconds = []
    for _ in range(CHANGES):
        job_id = watched if "jobs" in path else await ask("POST", "/jobs", JOB)
        began = time.perf_counter()
        await ask("POST", f"/jobs/{job_id}/cancel")
        await wait_for_word(subscribers, b"canceled")
        seconds.append(time.perf_counter() - began)
        if "jobs" in path:
            break
    after = resident_bytes(stack.processes["web"].pid)
    await close_all(subscribers)
    return Cost((after - before) / 1e6, seconds)


def _ask(api: httpx.Client, method: str, path: str, body: object = None) -> str:
    answer = api.request(method, path, json=body).raise_for_status()
    return str(answer.json()["id"])
