"""Budgets over several accounts and workers that die: no gap, hour or turn is ever exceeded."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.local.instagram.records import CallRecord
from deploy.local.instagram.state import SHOP_PASSWORD
from deploy.local.wait import until
from tests.chaos.cluster import SEED, WORKERS, Cluster, extra_accounts

#: How many DMs are asked for (`make chaos` asks for 500).
DMS: Final = int(os.environ.get("CHAOS_DMS", "40"))
ACCOUNTS: Final = ("extra-0", "extra-1")
#: More than an hour's budget: these wait for the next.
OVER: Final = 3
GAP_SECONDS: Final = 0.05
_PER_HOUR: Final = DMS // len(ACCOUNTS) - OVER


@pytest.mark.timeout(600 + 2 * DMS)
def test_budgets_hold_over_workers_that_die(tmp_path: Path, empty_store: str | None) -> None:
    pace = {"gap_seconds": [GAP_SECONDS, 0.15], "per_hour": _PER_HOUR}
    accounts = extra_accounts(len(ACCOUNTS), pacing={"dm": pace})
    cluster = Cluster(tmp_path / "stack", empty_store, accounts=accounts)
    with cluster.open():
        # Given three workers, and more DMs of each account than an hour allows
        cluster.start("worker-3")
        for account in ACCOUNTS:
            cluster.stack.fake_instagram.add_account(_username(account), SHOP_PASSWORD)
        orders = {
            account: [cluster.order(f"{account}-{n}", account) for n in range(DMS // len(ACCOUNTS))]
            for account in ACCOUNTS
        }
        # When workers are killed while they send
        dice = random.Random(SEED)
        while not _is_over(cluster, orders):
            _kill_one(cluster, orders, dice)
        # Then no account sends more, or sooner, or in another order; the rest waits for its hour
        findings = [
            each for account, jobs in orders.items() for each in _broken(cluster, account, jobs)
        ]
        if findings:
            cluster.fail(findings)
        _cancel_the_rest(cluster, orders)
        cluster.wait_settled(60)
        cluster.check_promises()


def _kill_one(cluster: Cluster, orders: dict[str, list[str]], dice: random.Random) -> None:
    """Kill a worker when some more DMs are there; at the end there are no more."""
    sent = len(cluster.stack.fake_instagram.dms())
    more = dice.randint(1, max(2, DMS // 20))
    until(
        lambda: len(cluster.stack.fake_instagram.dms()) >= sent + more or _is_over(cluster, orders),
        60,
        f"more than {sent} DMs",
    )
    label = dice.choice((*WORKERS, "worker-3"))
    cluster.log(f"kill {label}")
    cluster.stack.processes[label].kill()


def _is_over(cluster: Cluster, orders: dict[str, list[str]]) -> bool:
    return not any(_unfinished(cluster, jobs) for jobs in orders.values())


def _unfinished(cluster: Cluster, jobs: list[str]) -> list[dict[str, Any]]:
    """The jobs that have neither ended nor wait for the next hour."""
    return [
        job
        for job in map(_shown(cluster), jobs)
        if job["status"] != "succeeded"
        and not (job["status"] == "waiting" and job["wait"]["reason"] == "dm_per_hour")
    ]


def _broken(cluster: Cluster, account: str, jobs: list[str]) -> Iterator[str]:
    username = _username(account)
    writes = [
        call
        for call in cluster.stack.fake_instagram.log(call="broadcast_text")
        if call["account"] == username
    ]
    writes.sort(key=lambda call: call["begun"])
    if len(writes) > _PER_HOUR:
        yield f"{account}: {len(writes)} writes, {_PER_HOUR} an hour are allowed"
    for before, after in itertools.pairwise(writes):
        if after["begun"] - _end(before) < GAP_SECONDS:
            yield f"{account}: {after['begun'] - _end(before):.3f} s between {before} and {after}"
    yield from _disorder(cluster, account, jobs)


def _username(account: str) -> str:
    return account.replace("-", ".")


def _end(call: CallRecord) -> float:
    """When a write was over for who made it."""
    ends = [each for each in (call["gone"], call["ended"]) if each is not None]
    return min(ends)


def _disorder(cluster: Cluster, account: str, jobs: list[str]) -> Iterator[str]:
    """Jobs of one priority go in order, but for those whose write had to be looked for."""
    order = {job: place for place, job in enumerate(jobs)}
    sent = [str(dm["text"]) for dm in cluster.stack.fake_instagram.dms()]
    places = {f"Hello {account}-{order[job]}!": job for job in jobs}
    undoubted = [
        job for text in sent if (job := places.get(text)) and not _looked_for(cluster, job)
    ]
    for before, after in itertools.pairwise(undoubted):
        if order[before] > order[after]:
            yield f"{account}: {before} was sent before {after}"


def _looked_for(cluster: Cluster, job: str) -> bool:
    lines = _ask(cluster, "GET", f"/jobs/{job}/timeline")["items"]
    return any(line["why"] == "look-up" for line in lines)


def _cancel_the_rest(cluster: Cluster, orders: dict[str, list[str]]) -> None:
    shown = _shown(cluster)
    names = {jobs[0]: name for name, jobs in cluster.expected.dms.items()}
    for job in itertools.chain(*orders.values()):
        if shown(job)["status"] == "waiting":
            _ask(cluster, "POST", f"/jobs/{job}/cancel")
            del cluster.expected.dms[names[job]]


def _shown(cluster: Cluster) -> Callable[[str], Any]:
    return lambda job: _ask(cluster, "GET", f"/jobs/{job}")


def _ask(cluster: Cluster, method: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {cluster.stack.api_key}"}
    answer = httpx.request(method, cluster.stack.url + path, headers=headers, timeout=15)
    return answer.raise_for_status().json()
