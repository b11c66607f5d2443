"""Ledgers whose accounts have limits, and queries about waits, gaps and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import redis

from service.config.pacing import PACE_KINDS, Pace
from service.jobs.claims import Claim, Thread
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.limits import AccountLimits, Limits, QuietHours
from service.jobs.model import Status
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

MANY: Final = 1_000_000
#: How long a test may take between two readings of the clock, in ms.
SLACK: Final = 2_000

LedgerFactory = Callable[..., LedgerHarness]


def pace(gap: tuple[float, float] = (0, 0), *, per_hour: int = MANY, per_day: int = MANY) -> Pace:
    """A pace without limits except those given.

    Parameters:
      gap: The shortest and the longest gap, in seconds.
      per_hour: The most actions in any hour.
      per_day: The most actions in any day.
    """
    return Pace(gap_seconds=gap, per_hour=per_hour, per_day=per_day)


def limits(
    *,
    dm: Pace | None = None,
    dm_new_thread: Pace | None = None,
    comment: Pace | None = None,
    lookup: Pace | None = None,
    since_ms: int | None = None,
    quiet: QuietHours | None = None,
    callback: str | None = None,
) -> AccountLimits:
    """The limits of one account; a kind without a pace is unlimited.

    Parameters:
      dm: The pace of DMs.
      dm_new_thread: The pace of DMs that open a thread.
      comment: The pace of comments.
      lookup: The pace of lookups.
      since_ms: When the account began to be used, in unix ms.
      quiet: When nothing is sent.
      callback: The endpoint that is notified of its holds.
    """
    given = zip(PACE_KINDS, (dm, dm_new_thread, comment, lookup), strict=True)
    paces = {kind: pace() if own is None else own for kind, own in given}
    return AccountLimits(paces, since_ms=since_ms, quiet=quiet, callback=callback)


def times_with_limits(repeat_ms: int = 0, **accounts: AccountLimits) -> ScriptConfig:
    """The times of the tests' ledger, with limits.

    Parameters:
      repeat_ms: The same recipient and rule at most once in this time.
      accounts: By name.
    """
    return replace(TIMES, limits=Limits(accounts, repeat_ms=repeat_ms))


@contextmanager
def ledger_factory(url: str) -> Iterator[LedgerFactory]:
    """A factory of ledgers over one store; it takes what `times_with_limits` takes.

    Parameters:
      url: The store; it is used as it is found.
    """
    with ExitStack() as stack:

        def ledger_with(repeat_ms: int = 0, **accounts: AccountLimits) -> LedgerHarness:
            return stack.enter_context(open_ledger(url, times_with_limits(repeat_ms, **accounts)))

        yield ledger_with


def send(
    ledger: LedgerHarness,
    job_id: str,
    *,
    thread: Thread = "old",
    pk: str = "314159",
    status: Status = Status.SUCCEEDED,
) -> Claim:
    """Do a job that has its turn, from claim to finish."""
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim, thread=thread, pk=pk) == "ok"
    assert ledger.finish(claim, status)
    return claim


def now_ms(store: redis.Redis) -> int:
    """The store's clock, in unix ms."""
    seconds, micros = store.time()
    return int(seconds * 1000 + micros // 1000)


def ms_of(shown: str) -> int:
    """A time as the API shows it, in unix ms."""
    return round(datetime.fromisoformat(shown).timestamp() * 1000)


def wait_of(ledger: LedgerHarness, job_id: str) -> tuple[str, int, int | None]:
    """Why a job waits, until when (unix ms), and its position."""
    wait = ledger.api_job(job_id)["wait"]
    return wait["reason"], ms_of(wait["until"]), wait["position"]


def alarm_ms(ledger: LedgerHarness, account: str = "shop") -> int | None:
    """When the account's alarm is due, in unix ms; None without one."""
    due: Any = ledger.store.zscore("hg:alarms", account)
    return None if due is None else int(due)


def gap_ends_ms(ledger: LedgerHarness, kind: str = "dm", account: str = "shop") -> int:
    """When the gap of a kind ends, in unix ms; 0 without one."""
    ends: Any = ledger.store.hget(f"hg:acct:{account}", f"gap:{kind}")
    return int(ends or 0)


def spent_ms(ledger: LedgerHarness, kind: str = "dm", account: str = "shop") -> list[int]:
    """When the actions that count against a budget ended, in unix ms, oldest first."""
    found: Any = ledger.store.zrange(f"hg:acct:{account}:spent:{kind}", 0, -1, withscores=True)
    return [int(ended) for _, ended in found]


def pass_until(ledger: LedgerHarness, moment_ms: int) -> None:
    """Let time pass until a moment, in unix ms."""
    ledger.pass_time(moment_ms - now_ms(ledger.store))


def heartbeat_wakeups(ledger: LedgerHarness) -> list[str]:
    """One heartbeat; return the jobs it woke."""
    ledger.take_messages()
    ledger.heartbeat()
    return ledger.take_messages()


def contents(store: redis.Redis) -> dict[bytes, bytes]:
    """Every key of the store with its value, as DUMP serializes it."""
    return {key: store.dump(key) or b"" for key in store.scan_iter()}
