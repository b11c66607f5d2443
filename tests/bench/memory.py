"""The Redis memory of one finished DM: everything it leaves behind, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import redis

from service.jobs.lua.limits import Limits
from tests.bench.table import Goal, Row
from tests.bench.typical_dm import TEXT, TIMES, TypicalDms, opened_shop

JOBS: Final = 2_000
MAX_BYTES: Final = 2_560
#: An account's jobs wait in its queue for each other, as usual.
_ACCOUNTS: Final = 20

#: No account has to wait for its next DM.
NO_PACE: Final = replace(TIMES, limits=Limits(repeat_ms=TIMES.limits.repeat_ms))

#: The purpose of a key by its prefix. Keys with other prefixes do not belong to jobs.
_PARTS: Final[Mapping[str, str]] = {
    "hg:job:": "job: its record",
    "hg:jobtl:": "job: its timeline",
    "hg:jobtext:": "job: its text, while it may be sent",
    "hg:dlv:": "job: its callback's record",
    "hg:dlvlog:": "job: its callback's attempts",
    "hg:payload:": "job: its callback's payload, until it is delivered",
    "hg:jobs": "job: in the indexes",
    "hg:dlvs": "job: in the indexes",
    "hg:retention": "job: in the indexes",
    "hg:audit": "besides: its entry in the audit",
    "hg:once:": "besides: its once_per key",
    "hg:known:": "besides: by what else its event is known, 40 days",
    "hg:repeat:": "besides: who has had what, 7 days",
    "hg:thread:": "besides: that there is a thread, 40 days",
    "hg:acct:": "besides: charged to budgets, 1 day",
    "hg:encbody:": "event: its body of 2 KB, 7 days",
    "hg:event": "event: its record, 40 days",
}


def memory_row(url: str) -> Row:
    """Process jobs from event to delivered callback, and measure what they leave.

    Parameters:
      url: An empty store.
    """
    with opened_shop(url, NO_PACE) as (shop, runner):
        job_id = runner.run(_whole_lives(shop))
    with redis.Redis.from_url(url) as store:
        entries = store.llen(f"hg:jobtl:{job_id}")
        parts = _weighed(store)
    own = sum(size for part, size in parts.items() if part.startswith("job:"))
    how = (
        f"{JOBS:,} DMs through the ledger's own scripts, a text of {len(TEXT)} characters, an event"
        f" each, {entries} entries in the timeline, one callback delivered. MEMORY USAGE of every"
        " key, indexes included, by jobs"
    )
    goal = Goal("a finished job with timeline and callback", own, "<=", MAX_BYTES, "bytes")
    return Row("Memory of a finished job", how, {**parts, "job: all of it": own}, "bytes", [goal])


async def _whole_lives(shop: TypicalDms) -> str:
    """The last job."""
    jobs = [
        (number, await shop.accept(number, account=f"account-{number % _ACCOUNTS}"))
        for number in range(JOBS)
    ]
    for number, job_id in jobs:
        claim = await shop.claim(job_id, number)
        await shop.intend(claim, number)
        await shop.finish(claim, number)
        await shop.deliver(job_id, number)
    return job_id


def _weighed(store: redis.Redis) -> Mapping[str, float]:
    keys = list(store.scan_iter("hg:*", count=1_000))
    with store.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.memory_usage(key, samples=0)
        sizes = pipe.execute()
    sums = dict.fromkeys(_PARTS.values(), 0.0)
    for key, size in zip(keys, sizes, strict=True):
        for part in _parts(key.decode()):
            sums[part] += size / JOBS
    # Job and event each have an entry in the retention index.
    half = (store.memory_usage("hg:retention", samples=0) or 0) / JOBS / 2
    sums["event: its record, 40 days"] += half
    sums["job: in the indexes"] -= half
    return {part: round(size, 1) for part, size in sums.items()}


def _parts(key: str) -> list[str]:
    return [part for start, part in _PARTS.items() if key.startswith(start)][:1]
