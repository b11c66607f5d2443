"""`make bench`: figures side by side in one run. Ratios are the point, not the milliseconds."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

from deploy.local.sender import event
from deploy.local.stack import CONFIG, Stack
from deploy.local.waiting import until
from service.accounts.limits import Limits
from service.config import load_config
from service.jobs.scripts import Times
from tests.bench.load import Timings, post_webhooks
from tests.bench.scripts import counted_scripts

DAYS_7 = 7 * 24 * 3600 * 1000
DAYS_40 = 40 * 24 * 3600 * 1000
ROUNDS = 3
COUNT = 600
CONNECTIONS = 8


def main() -> int:
    """Measure, print, and leave the figures in bench.json."""
    with tempfile.TemporaryDirectory() as directory:
        figures = {**_answers_while_all_hangs(Path(directory) / "a")}
        figures.update(_round_trips(Path(directory) / "b"))
    Path("bench.json").write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _answers_while_all_hangs(directory: Path) -> dict[str, float]:
    """Answers of the webhook door: with workers idle, and with every call of theirs hanging."""
    paid, unpaid = event("checkout.session.completed"), event("checkout.session.completed.unpaid")
    with Stack(directory) as stack:
        hook = f"{stack.url}/webhooks/stripe"

        def load(document: dict[str, object], count: int = COUNT) -> Timings:
            return post_webhooks(
                hook, stack.webhook_secret, document, count=count, connections=CONNECTIONS
            )

        stack.standin.fault("*", delay_seconds=30, times=None)
        stack.receiver.answer(delay_seconds=30)
        load(unpaid)  # warm
        idle = [load(unpaid) for _ in range(ROUNDS)]
        load(paid, 50)  # these hang at Instagram, their callbacks at the receiver
        load({**paid, "data": {"object": {**paid["data"]["object"], "custom_fields": []}}}, 50)
        until(stack.standin.log, 20, "a call that hangs")
        hanging = [load(unpaid) for _ in range(ROUNDS)]
        for process in stack.processes.values():
            process.kill()
    figures: dict[str, float] = {}
    print(f"webhook answers, {COUNT} over {CONNECTIONS} connections, best of {ROUNDS}")
    print(f"{'':>8}{'idle':>10}{'hanging':>10}{'ratio':>8}")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        still = min(timings.percentile(share) for timings in idle)
        busy = min(timings.percentile(share) for timings in hanging)
        print(f"{name:>8}{still:>8.2f}ms{busy:>8.2f}ms{busy / still:>8.2f}")
        figures[f"webhook_{name}_hanging_over_idle"] = round(busy / still, 3)
    return figures


def _round_trips(directory: Path) -> dict[str, float]:
    """The ledger's round trips for one DM, counted at the server while jobs go through."""
    jobs = 40
    with Stack(directory, processes=("web", "worker")) as stack:
        document = event("checkout.session.completed")
        hook = f"{stack.url}/webhooks/stripe"
        times = Times(10_000, 5_000, DAYS_40, DAYS_7, Limits.of(load_config(CONFIG)))
        with counted_scripts(stack.redis_url, times) as counts:
            for number in range(1, jobs + 1):
                post_webhooks(hook, stack.webhook_secret, document, count=1, connections=1)
                until(partial(_received, stack, number), 60)
    figures = {
        "accept": counts["accept"] / jobs,
        "job (claim, intent, finish)": _each(counts, jobs, "claim", "intent", "finish", "release"),
        "callback (claim, attempt)": _each(counts, jobs, "claim_delivery", "attempt"),
    }
    print("\nledger round trips per DM")
    for name, figure in figures.items():
        print(f"{name:>28}{figure:>7.2f}")
    return {f"round_trips_{name.split()[0]}": round(each, 2) for name, each in figures.items()}


def _received(stack: Stack, count: int) -> bool:
    return len(stack.receiver.received()) == count


def _each(counts: Counter[str], jobs: int, *names: str) -> float:
    return sum(counts[name] for name in names) / jobs


if __name__ == "__main__":
    sys.exit(main())
