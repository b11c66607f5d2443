"""The ledger's round trips per DM, counted at the server while jobs are processed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from deploy.local.sender import event
from deploy.local.stack import CONFIG, Stack
from deploy.local.wait import until
from service.config.config import load_config
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.limits import Limits
from tests.bench.load import post_webhooks
from tests.bench.scripts import counted_scripts
from tests.bench.table import Row
from tests.support.ledger import PERSON_KEYS

DAYS_7 = 7 * 24 * 3600 * 1000
DAYS_40 = 40 * 24 * 3600 * 1000
JOBS = 40


def measure(directory: Path) -> Sequence[Row]:
    """Count the scripts of a few DMs, one after another."""
    with Stack(directory, processes=("web", "worker")) as stack:
        document = event("checkout.session.completed")
        hook = f"{stack.url}/webhooks/stripe"
        limits = Limits.of(load_config(CONFIG))
        script_config = ScriptConfig(
            10_000, 5_000, DAYS_40, DAYS_7, limits, person_keys=PERSON_KEYS
        )
        with counted_scripts(stack.redis_url, script_config) as counts:
            for number in range(1, JOBS + 1):
                post_webhooks(hook, stack.webhook_secret, document, count=1, connections=1)
                until(partial(_received, stack, number), 60)
    figures = {
        "accept": counts["accept_events"] / JOBS,
        "job: claim, intent, finish": _each(
            counts, "claim_job", "record_intent", "finish_job", "release_job"
        ),
        "callback: claim, attempt": _each(counts, "claim_delivery", "record_delivery_attempt"),
    }
    how = f"scripts run at the server for {JOBS} paid events, one after the other, mean"
    return [Row("Ledger round trips per DM", how, figures, "")]


def _received(stack: Stack, count: int) -> bool:
    return len(stack.receiver.received()) == count


def _each(counts: Counter[str], *names: str) -> float:
    return sum(counts[name] for name in names) / JOBS
