"""Measures the ledger's steps on one store, in microseconds of the server's time."""

from __future__ import annotations

import asyncio
import operator
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, repeat
from typing import Any, Final, cast

import redis

from actors.lease_heartbeat import BEAT_BATCH
from service.config.pacing import PACE_KINDS, Pacing
from service.deliveries.delivery_filter import DeliveryFilter
from service.events.event_filter import EventFilter
from service.jobs.actor_routes import QUEUES
from service.jobs.audit_filter import AuditFilter
from service.jobs.consistency_check import PAGE
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.job_filter import JobFilter
from service.jobs.ledger import PRUNE_BATCH
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.collect_metrics import collect_metrics
from service.jobs.lua.control_account import control_account
from service.jobs.lua.heartbeat import HeartbeatReply, heartbeat
from service.jobs.lua.limits import AccountLimits
from service.jobs.lua.prune import prune
from service.jobs.lua.runner import Scripts
from service.jobs.model import Status
from service.jobs.rescue import RESCUE_BATCH, UNFINISHED_INDEXES
from tests.bench.filling import BUSY, METADATA
from tests.bench.record_templates import FIRST_SEQ
from tests.bench.typical_dm import RULE, SOURCE, TIMES, TypicalDms, draft
from tests.support.ledger import FAILURE

Step = Callable[[], Awaitable[Any]]

#: The commands that the ledger sends.
_SCRIPTS: Final = ("fcall", "evalsha")
_COMMANDS: Final = ("zrange", "hgetall", "hmget", "lindex")

#: Each sort of page of `GET /jobs`.
LISTS: Final[Mapping[str, JobFilter]] = {
    "list": JobFilter(),
    "list status=succeeded": JobFilter((Status.SUCCEEDED,)),
    "list status=failed": JobFilter((Status.FAILED,)),
    "list status=scheduled": JobFilter((Status.SCHEDULED,)),
    "list status=waiting": JobFilter((Status.WAITING,)),
    "list account": JobFilter(account=BUSY),
    "list kind=comment": JobFilter(kind="comment"),
    "list account, status=succeeded": JobFilter((Status.SUCCEEDED,), BUSY),
}
PAGE_OF_JOBS: Final = 20
#: A page of the other lists.
PAGE_OF_RECORDS: Final = 50

#: Filters of `GET /jobs`, which a page of 50 meets. The last two are met by no job, though each of
#: their parts is by many.
FILTERS: Final[Mapping[str, JobFilter]] = {
    "find anything": JobFilter(),
    "find rule": JobFilter(rule=RULE),
    "find source": JobFilter(source=SOURCE),
    "find code": JobFilter(code=FAILURE.code),
    "find metadata": JobFilter(metadata=tuple(METADATA.items())),
    "find to": JobFilter(to=draft(0).to),
    "find three statuses": JobFilter((Status.FAILED, Status.CANCELED, Status.SCHEDULED)),
    "find all statuses": JobFilter(tuple(Status)),
    "find rule, code, account": JobFilter(rule=RULE, code=FAILURE.code, account=BUSY),
    "find nothing: kind, code": JobFilter(kind="comment", code=FAILURE.code),
    "find nothing: kind, to, source": JobFilter(kind="lookup", to=draft(0).to, source=SOURCE),
}
PAGE_FOUND: Final = 50
#: Concurrent calls: one per connection.
_CONCURRENCY: Final = 8
#: The most jobs that one call holds or releases.
_BATCH: Final = 25
_ACCOUNTS: Final = 100

#: The same few accounts work in every round, so they have no gaps; all other limits are the
#: defaults.
_PACES: Final = {
    kind: Pacing().pace(kind).model_copy(update={"gap_seconds": (0, 0), "per_hour": 500})
    for kind in PACE_KINDS
}
RESTLESS: Final = replace(TIMES, limits=replace(TIMES.limits, default=AccountLimits(_PACES)))


class Probe:
    """Measures one store.

    Parameters:
      shop: The ledger over it.
      store: Another connection, for its statistics.
      runner: The loop the ledger lives on.
    """

    def __init__(self, shop: TypicalDms, store: redis.Redis, runner: asyncio.Runner) -> None:
        self._shop = shop
        self._store = store
        self._runner = runner
        self._scripts = Scripts(shop.client, shop.script_config)
        self._numbers = count(5_000_000)
        #: Microseconds of the server's time for one step, by its name: one figure a round.
        self.server: dict[str, list[float]] = {}
        #: The same as seen by the client.
        self.wall: dict[str, list[float]] = {}

    def life(self, jobs: int) -> None:
        """Measure each step of some jobs, each of another account."""
        shop, numbers = self._shop, [next(self._numbers) for _ in range(jobs)]
        accepts = [
            partial(shop.accept, n, account=f"regular-{place:03}")
            for place, n in enumerate(numbers)
        ]
        made = self._measure("accept", accepts, at_once=jobs)  # as in a storm
        self._measure("accept, known", accepts)
        claims = self._measure("claim", list(map(partial, repeat(shop.claim), made, numbers)))
        self._measure("intent", list(map(partial, repeat(shop.intend), claims, numbers)))
        self._measure("finish", list(map(partial, repeat(shop.finish), claims, numbers)))
        self._measure("callback", list(map(partial, repeat(shop.deliver), made, numbers)))

    def lists(self, pages: int) -> None:
        """Measure pages of jobs: the newest, and those from the middle on."""
        finder, half = self._shop.finder, int(cast("Any", self._store.get("hg:seq"))) // 2
        for name, only in LISTS.items():
            steps = [
                partial(finder.page, only, cursor=cursor, limit=PAGE_OF_JOBS)
                for cursor in (None, FIRST_SEQ + half)
            ]
            self._measure(name, steps * (pages // 2))

    def filters(self) -> None:
        """Measure pages of what filters find: the newest, and those from the middle on."""
        half = int(cast("Any", self._store.get("hg:seq"))) // 2
        for name, wanted in FILTERS.items():
            self._measure(
                name,
                [
                    partial(self._shop.finder.find, wanted, cursor=cursor, limit=PAGE_FOUND)
                    for cursor in (None, FIRST_SEQ + half)
                ],
                at_once=1,
            )

    def others(self, times: int) -> None:
        """Measure the other calls of the processes, each at its largest."""
        run, shop = self._scripts.run, self._shop
        names = [f"account-{number:03}" for number in range(_ACCOUNTS)]
        wanted = draft(1, account=BUSY)
        sweep = check_consistency("rescue", RESCUE_BATCH, *UNFINISHED_INDEXES)
        doctor = check_consistency("report", PAGE, *self._examined())
        steps: Mapping[str, Step] = {
            "metrics, 100 accounts": partial(run, collect_metrics(" ".join(QUEUES), *names)),
            "account": partial(shop.controls.show, BUSY),
            "preview": partial(shop.ledger.preview, wanted, caller="bench"),
            **self._filtered_pages(),
            "heartbeat, nothing due": partial(run, _beat()),
            f"rescue, {RESCUE_BATCH}": partial(run, sweep),
            f"doctor, {PAGE} jobs": partial(run, doctor),
        }
        for name, step in steps.items():
            self._measure(name, [step] * times, at_once=1)

    def _filtered_pages(self) -> Mapping[str, Step]:
        """Pages of the other lists: what has an index, and what nothing meets and has none."""
        shop = self._shop
        events = {
            "events": EventFilter(),
            "events, outcome": EventFilter(outcome="when_error"),
            "events, a glob of none": EventFilter(type="x*y"),
            "events, a rule of none": EventFilter(rule="nobody", outcome="matched"),
        }
        deliveries = {
            "deliveries, two statuses": DeliveryFilter(("failed", "pending")),
            "deliveries, a callback of none": DeliveryFilter(callback="nobody"),
        }
        decisions = {"decisions, by nobody": AuditFilter(by="nobody")}
        pages: dict[str, Step] = {}
        for name, each in events.items():
            pages[name] = partial(shop.events.page, each, cursor=None, limit=PAGE_OF_RECORDS)
        for name, some in deliveries.items():
            pages[name] = partial(shop.deliveries.page, some, cursor=None, limit=PAGE_OF_RECORDS)
        for name, found in decisions.items():
            pages[name] = partial(shop.audit.page, found, cursor=None, limit=PAGE_OF_RECORDS)
        return pages

    def batches(self) -> None:
        """Measure calls that work on many jobs at once; the jobs are deleted afterwards."""
        due = self._accepted(BEAT_BATCH, delay_ms=1)
        self._measure(
            f"heartbeat, {BEAT_BATCH} due",
            [
                partial(
                    self._scripts.run,
                    _beat(),
                )
            ],
        )
        account = f"queue-{next(self._numbers)}"
        jobs = self._accepted(_BATCH + 1, account=account)
        holder = self._run(partial(self._shop.claim, jobs[0], 0))
        pause = control_account(account, "pause", "", 0, "bench", "")
        self._run(partial(self._scripts.run, pause))
        back = partial(self._shop.claims.release, holder, Status.QUEUED, "bench")
        self._measure(f"a turn ends, {_BATCH} to hold", [back])
        resume = control_account(account, "resume", "", _BATCH, "bench", "")
        self._measure(f"resume, {_BATCH} held", [partial(self._scripts.run, resume)])
        for job_id in (*due, *jobs):
            self._run(partial(self._shop.ledger.cancel, job_id, "bench"))
        oldest: Any = self._store.zrange("hg:retention", 0, PRUNE_BATCH - 1)
        self._store.zadd("hg:retention", dict.fromkeys(oldest, 1))
        forget = partial(self._scripts.run, prune(PRUNE_BATCH))
        self._measure(f"forget, {PRUNE_BATCH}", [forget])

    def _accepted(self, jobs: int, **changes: Any) -> list[str]:
        numbers = [next(self._numbers) for _ in range(jobs)]
        return [self._run(partial(self._shop.accept, number, **changes)) for number in numbers]

    def _run(self, step: Step) -> Any:
        return self._runner.run(cast("Any", step()))

    def _examined(self) -> list[tuple[str, str]]:
        jobs: Any = self._store.zrange("hg:jobs", 0, PAGE - 1)
        return [("job", job_id.decode()) for job_id in jobs]

    def _measure(self, name: str, steps: Sequence[Step], at_once: int = _CONCURRENCY) -> list[Any]:
        """Run some at a time, so that the server does not go idle between two of them."""
        given: list[Any] = []
        spent: list[float] = []
        seconds: list[float] = []
        for start in range(0, len(steps), at_once):
            some = steps[start : start + at_once]
            before = self._spent()
            began = time.perf_counter()
            given += self._runner.run(_together(some))
            seconds.append((time.perf_counter() - began) / len(some))
            scripts, commands = map(operator.sub, self._spent(), before)
            # The time of a script already includes the commands that it calls.
            spent.append((scripts or commands) / len(some))
        self.server.setdefault(name, []).append(statistics.median(spent))
        self.wall.setdefault(name, []).append(1e6 * statistics.median(seconds))
        return given

    def _spent(self) -> tuple[int, int]:
        """Microseconds that the server has spent on scripts, and on the other commands."""
        stats = self._store.info("commandstats")
        return _microseconds(stats, _SCRIPTS), _microseconds(stats, _COMMANDS)


def _beat() -> ScriptCall[HeartbeatReply]:
    """The first heartbeat of a new process."""
    return heartbeat(BEAT_BATCH, 1, *HighWaterMark("worker").next_raise())


def _microseconds(stats: Mapping[str, Any], names: Sequence[str]) -> int:
    return sum(stats[f"cmdstat_{name}"]["usec"] for name in names if f"cmdstat_{name}" in stats)


async def _together(steps: Sequence[Step]) -> list[Any]:
    return await asyncio.gather(*(step() for step in steps))
