"""What bounds each account: budgets, quiet hours and the ramp of new accounts.

The configuration is part of the scripts' text (builder.py), so that a script knows the limits
without a read, and no stale copy of them is left in the store.
"""

from __future__ import annotations

import datetime
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from service.config.config import Config
from service.config.models import Account
from service.config.pacing import DEFAULTS, NEW_ACCOUNT, PACE_KINDS, Pace, PaceKind, Pacing
from service.jobs.lua.literals import LuaValue, to_lua

_MINUTE_MS: Final = 60 * 1000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
#: No process lives for so long, so it never runs out of clock changes.
_ZONE_YEARS: Final = 4


@dataclass(frozen=True)
class QuietHours:
    """When nothing is sent.

    Parameters:
      begin: Minutes after midnight.
      end: Minutes after midnight; before `begin` where they span midnight.
      zone: IANA name of their time zone.
    """

    begin: int
    end: int
    zone: str


@dataclass(frozen=True)
class AccountLimits:
    """What bounds one account.

    Parameters:
      paces: By kind; a kind without one is not bounded.
      since_ms: When the account began to be used this way (unix ms); None for no ramp.
      quiet: When nothing is sent.
      callback: Name of the callback endpoint that is told of its holds; None for none.
    """

    paces: Mapping[PaceKind, Pace] = field(default_factory=dict)
    since_ms: int | None = None
    quiet: QuietHours | None = None
    callback: str | None = None


@dataclass(frozen=True)
class Limits:
    """What bounds every account.

    Parameters:
      accounts: By name.
      default: Accounts that this process does not know; another process may.
      repeat_ms: The same recipient and rule (or text) at most once in this time; 0 for off.
    """

    accounts: Mapping[str, AccountLimits] = field(default_factory=dict)
    default: AccountLimits = AccountLimits()
    repeat_ms: int = 0

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Read the configuration; accounts that it does not name get the default limits."""
        return cls(
            accounts={
                name: _of(account, config.pacing) for name, account in config.accounts.items()
            },
            default=AccountLimits(DEFAULTS),
            repeat_ms=config.pacing.repeat_days * _DAY_MS,
        )

    def as_lua(self) -> str:
        """The functions `account_config` and `clock_changes` of lib/config.lua.

        They are functions and not tables because, where scripts run by EVAL, every run would make
        the tables of all accounts anew, and most runs ask for one.
        """
        zones = {account.quiet.zone for account in self.accounts.values() if account.quiet}
        configs = {name: _as_table(account) for name, account in self.accounts.items()}
        clocks = {zone: clock_changes(zone) for zone in sorted(zones)}
        return "\n".join(
            (
                _lua_function("account_config", "account", configs, _as_table(self.default)),
                _lua_function("clock_changes", "zone", clocks, {}),
            )
        )


UNLIMITED: Final = Limits()


def _of(account: Account, pacing: Pacing) -> AccountLimits:
    own, since = pacing.with_overrides(account.pacing), account.since
    return AccountLimits(
        paces={kind: own.pace(kind) for kind in PACE_KINDS},
        since_ms=None if since is None else _midnight_ms(since.year, since.month, since.day),
        quiet=_quiet(account),
        callback=account.callback,
    )


def _midnight_ms(year: int, month: int, day: int) -> int:
    return round(datetime.datetime(year, month, day, tzinfo=datetime.UTC).timestamp()) * 1000


def _quiet(account: Account) -> QuietHours | None:
    if account.quiet_hours is None:
        return None
    begin, end = map(_minutes, account.quiet_hours)
    return QuietHours(begin, end, account.timezone)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _lua_function(
    name: str, parameter: str, cases: Mapping[str, LuaValue], otherwise: LuaValue
) -> str:
    """A Lua function of one name that returns a constant for each case."""
    lines = (
        f"  if {parameter} == {to_lua(case)} then return {to_lua(value)} end"
        for case, value in cases.items()
    )
    head = f"local function {name}({parameter})"
    return "\n".join((head, *lines, f"  return {to_lua(otherwise)}", "end"))


def _as_table(limits: AccountLimits) -> dict[str, LuaValue]:
    """One account's limits as lib/config.lua documents them."""
    quiet = limits.quiet
    hours: LuaValue = None
    if quiet is not None:
        hours = {"from": quiet.begin, "to": quiet.end, "zone": quiet.zone}
    return {
        "limits": {kind: _limit(pace, NEW_ACCOUNT[kind]) for kind, pace in limits.paces.items()},
        "since": limits.since_ms,
        "quiet": hours,
        "callback": limits.callback,
    }


def _limit(pace: Pace, new: Pace) -> dict[str, LuaValue]:
    return {
        "gap": [round(1000 * seconds) for seconds in pace.gap_seconds],
        "per_hour": pace.per_hour,
        "per_day": pace.per_day,
        "new_per_hour": new.per_hour,
        "new_per_day": new.per_day,
    }


@lru_cache(maxsize=64)
def clock_changes(zone: str) -> tuple[tuple[int, int], ...]:
    """When a zone's clocks change, from the beginning of last year on.

    The list is part of the scripts' text, so it is the same for every process of a year.

    Parameters:
      zone: An IANA name.

    Returns:
      Pairs of unix ms and the offset from UTC (ms) that holds from then on, in order.
    """
    tz = ZoneInfo(zone)
    start = _midnight_ms(datetime.datetime.now(datetime.UTC).year - 1, 1, 1)
    changes = [(start, _offset_ms(tz, start))]
    for day in range(start, start + 366 * _ZONE_YEARS * _DAY_MS, _DAY_MS):
        offset = _offset_ms(tz, day + _DAY_MS)
        if offset != changes[-1][1]:
            changes.append((_moment_of_change(tz, day, offset), offset))
    return tuple(changes)


def _moment_of_change(zone: ZoneInfo, day: int, offset: int) -> int:
    """The minute (unix ms) of a day, which begins at `day`, from which an offset holds."""
    minutes = range(day, day + _DAY_MS, _MINUTE_MS)
    index = bisect_left(minutes, True, key=lambda ms: _offset_ms(zone, ms) == offset)
    return day + index * _MINUTE_MS


def _offset_ms(zone: ZoneInfo, ms: int) -> int:
    offset = datetime.datetime.fromtimestamp(ms / 1000, zone).utcoffset() or datetime.timedelta()
    return round(offset.total_seconds() * 1000)
