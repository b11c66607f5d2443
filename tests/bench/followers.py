"""The cost of follower exports: memory of both processes, and the speed of reading rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.bench.table import Goal, Row
from tests.support.follower_exports import start_export, wait_rows
from tests.support.follower_rows import export_with_rows
from tests.support.ledger import open_ledger
from tests.support.memory import peak_memory, resident_mib
from tests.support.scenario import Scenario

FEW, MANY = 10_000, 1_000_000
#: The sizes of the worker's exports: each page is a call to the fake Instagram.
WALKED: Final = 60_000
#: What the allocator may retain although nothing grows.
SLACK_MIB: Final = 8.0


def measure(directory: Path) -> Sequence[Row]:
    """Read few rows and many, export few users and many."""
    with Stack(directory, processes=("web", "worker")) as stack:
        return [*_web(stack), _worker(stack)]


def _web(stack: Stack) -> Sequence[Row]:
    pid = stack.processes["web"].pid
    with open_ledger(stack.redis_url) as ledger:
        # On accounts that no worker knows, so that none continues the exports.
        few = export_with_rows(ledger, FEW, account="few")
        many = export_with_rows(ledger, MANY, account="many")
        kept = int(ledger.store.memory_usage(f"hg:rows:{many}", samples=0) or 0)
    _read_rows(stack, few)  # what a process takes for its first answers is not the rows'
    with peak_memory(pid) as with_few:
        _read_rows(stack, few)
    with peak_memory(pid) as with_many:
        began = time.perf_counter()
        row_count = _read_rows(stack, many)
        elapsed = time.perf_counter() - began
    assert row_count == MANY
    more = round(with_many.most - with_few.most, 2)
    memory = Row(
        "Memory of a web process while it serves an export's rows",
        f"NDJSON over one connection, {FEW:,} rows and then {MANY:,}; the most resident meanwhile",
        {f"{FEW:,} rows": with_few.most, f"{MANY:,} rows": with_many.most},
        "MiB",
        [Goal(f"{MANY:,} rows - {FEW:,}", more, "<=", SLACK_MIB, "MiB")],
    )
    speed = Row(
        "Export rows served by one web process",
        f"{MANY:,} rows as NDJSON to a reader on the same machine; what they take in the store",
        {"thousand rows a second": MANY / elapsed / 1000, "MiB in the store": kept / 1024**2},
        "",
    )
    return [memory, speed]


def _read_rows(stack: Stack, job_id: str) -> int:
    """Read all rows of an export; return how many there were."""
    url = f"{stack.url}/jobs/{job_id}/result"
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        return sum(chunk.count(b"\n") for chunk in answer.iter_bytes())


def _worker(stack: Stack) -> Row:
    worker, scenario = stack.processes["worker"], Scenario(stack, "exports")
    until(lambda: "ready for action" in worker.log.read_text(), 30, "the worker")
    stack.fake_instagram.add_user("warm.up", followers=2_000)
    stack.fake_instagram.add_user("many.followers", followers=WALKED)
    scenario.wait_final(start_export(scenario, "warm.up"))
    began = time.perf_counter()
    job_id = start_export(scenario, "many.followers")
    wait_rows(scenario, job_id, FEW, 60)
    early = resident_mib(worker.pid)
    with peak_memory(worker.pid) as late:
        job = scenario.wait_final(job_id, 120)
    elapsed = time.perf_counter() - began
    scenario.api.close()
    assert job["progress"]["users"] == WALKED
    more = round(late.most - early, 2)
    return Row(
        "Memory of a worker during an export",
        f"{WALKED:,} users against fake Instagram, without gaps, {WALKED / elapsed:,.0f} a second",
        {f"at {FEW:,} users": early, f"up to {WALKED:,}": late.most},
        "MiB",
        [Goal(f"{WALKED:,} users - {FEW:,}", more, "<=", SLACK_MIB, "MiB")],
    )
