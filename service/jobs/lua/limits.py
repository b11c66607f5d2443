"""What bounds each account, as the ledger's scripts work with it: budgets, quiet hours, ramp.

The configuration is rendered into the scripts themselves (`scripts.py`), so that whoever gives a
turn knows the limits without a read, and no stale copy of them lives in the store.
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

_DAY_MS: Final = 24 * 3600 * 1000
#: Clock changes are rendered for as long as no process lives.
_ZONE_YEARS: Final = 4


@dataclass(frozen=True)
class QuietHours:
    """When nothing is sent.

    Parameters:
      begin: Minutes after midnight.
      end: Minutes after midnight; before `begin` where they span it.
      zone: IANA name of the zone they are in.
    """

    begin: int
    end: int
    zone: str


@dataclass(frozen=True)
class AccountLimits:
    """What bounds one account.

    Parameters:
      paces: By kind; one that is missing is not bounded.
      since_ms: When it began to be used this way; None for no ramp.
      quiet: When nothing is sent.
      callback: Whom its holds are told; None for nobody.
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
      others: Accounts that this process does not know; another process may.
      repeat_ms: The same recipient and rule (or text) at most once in this time; 0 for off.
    """

    accounts: Mapping[str, AccountLimits] = field(default_factory=dict)
    others: AccountLimits = AccountLimits()
    repeat_ms: int = 0

    @classmethod
    def of(cls, config: Config) -> Limits:
        """What the configuration asks for; accounts it does not name keep the default pace."""
        return cls(
            accounts={name: _of(each, config.pacing) for name, each in config.accounts.items()},
            others=AccountLimits(_paces(Pacing())),
            repeat_ms=config.pacing.repeat_days * _DAY_MS,
        )

    def as_lua(self) -> str:
        """The limits as the scripts read them: the functions `own_limits` and `changes_of`.

        Functions, because a table of all accounts would be made anew in every call of a script,
        most of which ask for one account's.
        """
        zones = {each.quiet.zone for each in self.accounts.values() if each.quiet}
        rows = {name: _row(each) for name, each in self.accounts.items()}
        clocks = {zone: _clock(zone) for zone in sorted(zones)}
        return "\n".join(
            (
                _function("own_limits", rows, otherwise=_row(self.others)),
                _function("changes_of", clocks, otherwise="{}"),
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


def _function(name: str, rows: Mapping[str, str], otherwise: str) -> str:
    cases = (f"  if name == '{key}' then return {row} end\n" for key, row in rows.items())
    return f"local function {name}(name)\n{''.join(cases)}  return {otherwise}\nend"


def _row(limits: AccountLimits) -> str:
    paces = ", ".join(f"{kind} = {_pace(kind, pace)}" for kind, pace in limits.paces.items())
    parts = [f"paces = {{{paces}}}"]
    if limits.since_ms is not None:
        parts.append(f"since = {limits.since_ms}")
    if limits.quiet is not None:
        quiet = limits.quiet
        parts.append(f"quiet = {{from = {quiet.begin}, to = {quiet.end}, zone = '{quiet.zone}'}}")
    if limits.callback is not None:
        parts.append(f"callback = '{limits.callback}'")
    return f"{{{', '.join(parts)}}}"


def _pace(kind: PaceKind, pace: Pace) -> str:
    shortest, longest = (round(1000 * seconds) for seconds in pace.gap_seconds)
    new = NEW_ACCOUNT[kind]
    return (
        f"{{gap = {{{shortest}, {longest}}}, per_hour = {pace.per_hour}, per_day = {pace.per_day},"
        f" new_per_hour = {new.per_hour}, new_per_day = {new.per_day}}}"
    )


def _clock(zone: str) -> str:
    changes = ", ".join(f"{{{ms}, {offset}}}" for ms, offset in clock_changes(zone))
    return f"{{{changes}}}"


@lru_cache(maxsize=64)
def clock_changes(zone: str) -> tuple[tuple[int, int], ...]:
    """When a zone's clocks change, from the beginning of last year on.

    It is part of the scripts' text, which Redis keeps for good: the same for every process of a
    year.

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
