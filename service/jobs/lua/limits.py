"""What bounds each account: budgets, quiet hours and the ramp of new accounts.

The configuration is part of the scripts' text (builder.py), so that a script knows the limits
without a read, and no stale copy of them is left in the store.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from service.config.config import Config
from service.config.models import Account
from service.config.pacing import NEW_ACCOUNT, PACE_KINDS, Pace, PaceKind, Pacing
from service.jobs.lua.literals import LuaValue, to_lua

_DAY_MS: Final = 24 * 3600 * 1000
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
            accounts={name: _of(each, config.pacing) for name, each in config.accounts.items()},
            default=AccountLimits(_paces(Pacing())),
            repeat_ms=config.pacing.repeat_days * _DAY_MS,
        )

    def as_lua(self) -> str:
        """The functions `account_config` and `clock_changes` of lib/config.lua.

        They are functions and not tables because, where scripts run by EVAL, every run would make
        the tables of all accounts anew, and most runs ask for one.
        """
        zones = {each.quiet.zone for each in self.accounts.values() if each.quiet}
        configs = {name: _as_table(each) for name, each in self.accounts.items()}
        clocks: dict[str, LuaValue] = {zone: clock_changes(zone) for zone in sorted(zones)}
        return "\n".join(
            (
                _lua_function("account_config", "account", configs, _as_table(self.default)),
                _lua_function("clock_changes", "zone", clocks, {}),
            )
        )


UNLIMITED: Final = Limits()


def _of(account: Account, pacing: Pacing) -> AccountLimits:
    return AccountLimits(
        paces=_paces(pacing.with_overrides(account.pacing)),
        since_ms=None if account.since is None else _midnight_ms(account.since),
        quiet=_quiet(account),
        callback=account.callback,
    )


def _paces(pacing: Pacing) -> dict[PaceKind, Pace]:
    return {kind: pacing.pace(kind) for kind in PACE_KINDS}


def _midnight_ms(day: datetime.date) -> int:
    midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return round(midnight.timestamp() * 1000)


def _quiet(account: Account) -> QuietHours | None:
    if account.quiet_hours is None:
        return None
    begin, end = (_minutes(clock) for clock in account.quiet_hours)
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
    table: dict[str, LuaValue] = {
        "limits": {kind: _limit(kind, pace) for kind, pace in limits.paces.items()}
    }
    if limits.since_ms is not None:
        table["since"] = limits.since_ms
    if limits.quiet is not None:
        quiet = limits.quiet
        table["quiet"] = {"from": quiet.begin, "to": quiet.end, "zone": quiet.zone}
    if limits.callback is not None:
        table["callback"] = limits.callback
    return table


def _limit(kind: PaceKind, pace: Pace) -> dict[str, LuaValue]:
    new = NEW_ACCOUNT[kind]
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
    start = datetime.datetime(
        datetime.datetime.now(datetime.UTC).year - 1, 1, 1, tzinfo=datetime.UTC
    )
    days = [start + datetime.timedelta(days=day) for day in range(366 * _ZONE_YEARS)]
    return tuple(_changes(ZoneInfo(zone), days))


def _changes(zone: ZoneInfo, days: list[datetime.datetime]) -> Iterator[tuple[int, int]]:
    offset = _offset_ms(zone, days[0])
    yield round(days[0].timestamp() * 1000), offset
    for earlier, later in itertools.pairwise(days):
        if _offset_ms(zone, later) != offset:
            offset = _offset_ms(zone, later)
            yield _moment_of_change(zone, earlier, later), offset


def _moment_of_change(zone: ZoneInfo, earlier: datetime.datetime, later: datetime.datetime) -> int:
    """The minute between two moments from which the later one's offset holds."""
    low, high = 0, round((later - earlier).total_seconds() // 60)
    while high - low > 1:
        middle = (low + high) // 2
        moment = earlier + datetime.timedelta(minutes=middle)
        if _offset_ms(zone, moment) == _offset_ms(zone, later):
            high = middle
        else:
            low = middle
    moment = earlier + datetime.timedelta(minutes=high)
    return round(moment.timestamp() // 60 * 60_000)


def _offset_ms(zone: ZoneInfo, moment: datetime.datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)
