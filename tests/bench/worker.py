"""The worker tier: its latency, its concurrency, and its commands when idle."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from deploy.local.received_callbacks import ReceivedCallback
from deploy.local.wait import until
from tests.bench.commands import commands_a_second
from tests.bench.proc import Watched
from tests.bench.slow_origins import SlowOrigins
from tests.bench.stock_worker import NAPS, OURS, QUEUES, THREADS, StockWorker
from tests.bench.table import Goal, Row
from tests.bench.worker_stack import WRITE, Workplace

ACCOUNTS: Final = 200
COLD: Final = 10
CALL_SECONDS: Final = 2.0
SAMPLES: Final = 60
PAUSE_SECONDS: Final = (0.05, 0.35)
IDLE_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 3.0
ORIGINS: Final = 250
A_TIME: Final = 4
ANSWER_SECONDS: Final = 5.0
NEARLY_ALL: Final = 0.9
NAP_COUNT: Final = 40


def measure(directory: Path) -> Sequence[Row]:
    """Measure one worker process, and stock ones beside it."""
    burst = [f"account{number}" for number in range(ACCOUNTS)]
    cold = [f"cold{number}" for number in range(COLD)]
    with ExitStack() as stack:
        stock = stack.enter_context(StockWorker(directory / "stock", [*QUEUES, NAPS]))
        slow_server = stack.enter_context(SlowOrigins(ORIGINS, ANSWER_SECONDS))
        place = stack.enter_context(Workplace(directory, [*burst, *cold], slow_server.urls))
        rows = [_idle(place, directory)]
        _warm(place, [*burst, *cold])
        rows.append(_burst(place, burst, stock))
        rows.append(_reaction(place, cold, stock))
        rows.append(_flood(place, slow_server))
    return rows


def _idle(place: Workplace, directory: Path) -> Row:
    """Measure the idle worker first, while only it is connected to its store."""
    place.start_worker()
    with StockWorker(directory / "idle", OURS) as stock, ThreadPoolExecutor() as both:
        time.sleep(SETTLE_SECONDS)
        urls = (place.redis_url, stock.url)
        ours, theirs = both.map(partial(commands_a_second, seconds=IDLE_SECONDS), urls)
    total = sum(ours.values())
    shown = {f"ours: {name}": count for name, count in ours.items()}
    how = (
        f"commands that reach the server (MONITOR, {IDLE_SECONDS:g} s) from one worker process with"
        " nothing to do: leases, bells and reports of its loop included; the stock worker has the"
        f" same four queues and {THREADS} threads"
    )
    figures = {"ours": total, "stock Dramatiq worker": sum(theirs.values()), **shown}
    goal = Goal("round trips of an idle worker", total, "<=", 2, "a second")
    return Row("Idle worker: Redis round trips", how, figures, "a second", [goal])


def _warm(place: Workplace, accounts: Sequence[str]) -> None:
    """Log in each account and send a DM to the regular recipient, so that a thread exists."""
    place.start_web()
    for account in ["shop", *accounts]:
        place.order(account)
    place.when_idle()


def _burst(place: Workplace, accounts: Sequence[str], stock: StockWorker) -> Row:
    master = place.start_worker()
    due = time.time() + 4
    at = datetime.fromtimestamp(due, UTC).isoformat()
    jobs = [place.order(account, run_at=at) for account in accounts]
    fault = {"delay_seconds": CALL_SECONDS, "times": None}
    place.fake_instagram.fault(WRITE, **fault)  # type: ignore[arg-type]
    with Watched(master) as worker:
        eight = stock.naps_seconds(NAP_COUNT, CALL_SECONDS) * len(accounts) / NAP_COUNT
        done = place.lateness_when_all_ended(jobs, due, 60)
    place.fake_instagram.clear_faults()
    how = (
        f"{len(accounts)} accounts, one DM each due at one moment, the DM's request answered after"
        f" {CALL_SECONDS:g} s; recipients by pk with a thread, so one call each; a worker just"
        " started: sessions from the vault, clients built then, the usual authorities trusted;"
        f" memory is the most since its start. Stock: {NAP_COUNT} messages that sleep as long,"
        f" times {len(accounts) // NAP_COUNT}"
    )
    figures = {
        "ours, s": done,
        f"stock Dramatiq worker ({THREADS} threads), s": eight,
        "ours, threads": worker.threads,
        "ours, MB": worker.peak_mb,
    }
    goals = [
        Goal("all done after", done, "<=", 5, "s"),
        Goal("threads", worker.threads, "<", 40),
        Goal("memory", worker.peak_mb, "<", 350, "MB"),
    ]
    return Row("200 accounts at once, one worker process", how, figures, "", goals)


def _reaction(place: Workplace, cold: Sequence[str], stock: StockWorker) -> Row:
    place.start_worker()
    built = [_after_a_pause(place, partial(place.order, account)) for account in cold]
    warm, stock_seconds = [], []
    place.pay()
    for number in range(SAMPLES):
        place.when_idle()
        warm.append(_after_a_pause(place, place.pay))
        stock_seconds.append(stock.pick_up_seconds(QUEUES[number % len(QUEUES)]))
    p50, p99 = _percentiles(warm)
    stock_p50, stock_p99 = _percentiles(stock_seconds)
    how = (
        f"{SAMPLES} paid events, one at a time, pauses of {PAUSE_SECONDS[0]:g} to"
        f" {PAUSE_SECONDS[1]:g} s; from the answer to the complete head of the DM's request at the"
        " fake Instagram, on a connection of its own through the proxy. Stock: `.send` to the"
        f" beginning of its actor, each of {len(QUEUES)} queues idle for seconds. Cold:"
        f" {len(cold)} accounts whose client is built for it, after POST /jobs"
    )
    figures = {
        "ours, p50": p50,
        "ours, p99": p99,
        "stock worker, the pick-up alone, p50": stock_p50,
        "stock worker, the pick-up alone, p99": stock_p99,
        "ours, cold client, p50": _percentiles(built)[0],
    }
    goals = [Goal("p50", p50, "<=", 50, "ms"), Goal("p99", p99, "<=", 150, "ms")]
    return Row("Webhook answered to the DM's request, idle", how, figures, "ms", goals)


def _after_a_pause(place: Workplace, ask: Callable[[], object]) -> float:
    time.sleep(random.uniform(*PAUSE_SECONDS))
    return place.seconds_to_the_wire(ask)


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in ms."""
    ordered = sorted(seconds)
    return 1000 * statistics.median(ordered), 1000 * ordered[int(0.99 * len(ordered))]


def _flood(place: Workplace, slow_server: SlowOrigins) -> Row:
    place.when_idle()
    flood = ORIGINS * A_TIME
    for _ in range(A_TIME):
        place.flood()
    behind = place.seconds_to_the_wire(place.pay)
    until(lambda: slow_server.waiting == flood or slow_server.answered, 30, "the flood in flight")
    waiting, fresh = [slow_server.waiting], [_seconds_of_a_fresh_one(place)]
    while slow_server.waiting >= NEARLY_ALL * flood:
        waiting.append(slow_server.waiting)
        fresh.append(_seconds_of_a_fresh_one(place))
    place.when_idle()
    how = (
        f"{flood} callbacks to {ORIGINS} origins that answer after {ANSWER_SECONDS:g} s;"
        f" meanwhile {len(fresh)} DMs, one at a time: from a DM's end to the arrival of its"
        " callback at an origin of its own, the slowest; and, while the flood begins, a DM right"
        " behind it: from its webhook's answer to its request; one worker process"
    )
    figures = {
        "a fresh callback, the slowest, s": max(fresh),
        "a DM right behind the flood, s": behind,
        "callbacks in flight, at least": min(waiting),
    }
    goal = Goal("a fresh callback, the slowest", max(fresh), "<=", 1, "s")
    return Row("A thousand slow callbacks in flight", how, figures, "", [goal])


def _seconds_of_a_fresh_one(place: Workplace) -> float:
    job = place.pay()

    def arrived() -> float | None:
        about = (each for each in place.receiver.received() if _job_of(each) == job)
        return next((each["at"] for each in about), None)

    return until(arrived, 30, "the callback") - place.ended_at(job)


def _job_of(callback: ReceivedCallback) -> str:
    job: str = callback["event"]["data"]["job_id"]
    return job
