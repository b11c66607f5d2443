"""Budgets of several accounts while workers die: no gap, hourly limit or turn is violated."""

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
from tests.chaos.accounts import extra_accounts, username_of
from tests.chaos.cluster import SEED, WORKERS, Cluster

#: How many DMs are created (`make chaos` creates 500).
DMS: Final = int(os.environ.get("CHAOS_DMS", "40"))
ACCOUNTS: Final = ("extra-0", "extra-1")
#: DMs beyond an hour's budget, which wait for the next hour.
EXCESS: Final = 3
GAP_SECONDS: Final = 0.05
_PER_HOUR: Final = DMS // len(ACCOUNTS) - EXCESS


@pytest.mark.timeout(600 + 2 * DMS)
def test_budgets_hold_over_workers_that_die(tmp_path: Path, empty_store: str | None) -> None:
    pace = {"gap_seconds": [GAP_SECONDS, 0.15], "per_hour": _PER_HOUR}
    accounts = extra_accounts(len(ACCOUNTS), pacing={"dm": pace})
    cluster = Cluster(tmp_path / "stack", empty_store, accounts=accounts)
    with cluster.open():
        # Given three workers, and more DMs per account than an hour allows
        cluster.start("worker-3")
        for account in ACCOUNTS:
            cluster.stack.fake_instagram.add_account(username_of(account), SHOP_PASSWORD)
        orders = {
            account: [cluster.order(f"{account}-{n}", account) for n in range(DMS // len(ACCOUNTS))]
            for account in ACCOUNTS
        }
        # When workers are killed while they send
        dice = random.Random(SEED)
        while not _is_over(cluster, orders):
            _kill_one(cluster, orders, dice)
        # Then no account sends more, sooner or in another order; the rest waits for the next hour
        findings = [
            each for account, jobs in orders.items() for each in _broken(cluster, account, jobs)
        ]
        if findings:
            cluster.fail(findings)
        _cancel_the_rest(cluster, orders)
        cluster.wait_settled(60)
        cluster.check_promises()


def _kill_one(cluster: Cluster, orders: dict[str, list[str]], dice: random.Random) -> None:
    """Kill a worker once some more DMs were sent; near the end there are no more."""
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
    """The jobs that have not succeeded and do not wait for the next hour."""
    return [
        job
        for job in map(_shown(cluster), jobs)
        if job["status"] != "succeeded"
        and not (job["status"] == "waiting" and job["wait"]["reason"] == "dm_per_hour")
    ]


def _broken(cluster: Cluster, account: str, jobs: list[str]) -> Iterator[str]:
    username = username_of(account)
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


def _end(call: CallRecord) -> float:
    """When a write ended for its client."""
    ends = [each for each in (call["gone"], call["ended"]) if each is not None]
    return min(ends)


def _disorder(cluster: Cluster, account: str, jobs: list[str]) -> Iterator[str]:
    """Jobs of one priority go in order, except those whose write had to be verified."""
    order = {job: place for place, job in enumerate(jobs)}
    sent = [str(dm["text"]) for dm in cluster.stack.fake_instagram.dms()]
    places = {f"Hello {account}-{order[job]}!": job for job in jobs}
    confirmed = [job for text in sent if (job := places.get(text)) and not _verified(cluster, job)]
    for before, after in itertools.pairwise(confirmed):
        if order[before] > order[after]:
            yield f"{account}: {before} was sent before {after}"


def _verified(cluster: Cluster, job: str) -> bool:
    lines = _request(cluster, "GET", f"/jobs/{job}/timeline")["items"]
    return any(line["why"] == "verification lookup" for line in lines)


def _cancel_the_rest(cluster: Cluster, orders: dict[str, list[str]]) -> None:
    shown = _shown(cluster)
    names = {jobs[0]: name for name, jobs in cluster.expected.dms.items()}
    for job in itertools.chain(*orders.values()):
        if shown(job)["status"] == "waiting":
            _request(cluster, "POST", f"/jobs/{job}/cancel")
            del cluster.expected.dms[names[job]]


def _shown(cluster: Cluster) -> Callable[[str], Any]:
    return lambda job: _request(cluster, "GET", f"/jobs/{job}")


def _request(cluster: Cluster, method: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {cluster.stack.api_key}"}
    answer = httpx.request(method, cluster.stack.url + path, headers=headers, timeout=15)
    return answer.raise_for_status().json()
