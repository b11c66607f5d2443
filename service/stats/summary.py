"""The numbers of a period, grouped as asked for."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from service.stats.counters import JobEnds, parse_field
from service.stats.period import Period, day_of
from service.stats.reader import Fields, StatsReader
from service.stats.totals import CallbackTotals, JobTotals

GroupBy = Literal["rule", "account", "code", "day"]
GROUPINGS: Final[tuple[GroupBy, ...]] = ("rule", "account", "code", "day")

#: Distinct counters that are added up before other tasks get their turn: a few ms.
_SLICE: Final = 2_000

_KEYS: Final[dict[str, Callable[[JobEnds], str | None]]] = {
    "rule": lambda ends: ends.rule,
    "account": lambda ends: ends.account,
    "code": lambda ends: ends.code,
}


@dataclass
class Summary:
    """The numbers of a period.

    Parameters:
      period: The hours that they are of.
      accounts: The only accounts that are counted; None for all.
    """

    period: Period
    accounts: Collection[str] | None = None
    total: JobTotals = field(default_factory=JobTotals)
    callbacks: CallbackTotals = field(default_factory=CallbackTotals)
    _groups: dict[str, defaultdict[str | None, JobTotals]] = field(
        default_factory=lambda: {by: defaultdict(JobTotals) for by in GROUPINGS}
    )

    def add(self, day: str, counted: Iterable[tuple[bytes, int]]) -> None:
        """Add counters of one day."""
        for name, count in counted:
            ends = parse_field(name)
            if not count or ends is None:
                continue
            if not isinstance(ends, JobEnds):
                if self.accounts is None:
                    self.callbacks.add(ends, count)
            elif self.accounts is None or ends.account in self.accounts:
                self._add_ends(day, ends, count)

    def _add_ends(self, day: str, ends: JobEnds, count: int) -> None:
        self.total.add(ends, count)
        self._groups["day"][day].add(ends, count)
        for by, key_of in _KEYS.items():
            self._groups[by][key_of(ends)].add(ends, count)

    def items(self, by: GroupBy) -> list[dict[str, Any]]:
        """The groups that have numbers, in order of their names; of days, all.

        Jobs that no rule has made, and those without an error, are a group whose name is None.
        """
        groups = self._groups[by]
        if by == "day":
            days = [day.isoformat() for day in self.period.days()]
            return [{by: day, **groups[day].public()} for day in days]
        names = sorted(groups, key=lambda name: (name is None, name))
        return [{by: name, **groups[name].public()} for name in names]

    def public(self, by: GroupBy) -> dict[str, Any]:
        """The answer of `GET /stats`."""
        return {
            "from": self.period.start_at,
            "to": self.period.end_at,
            "by": by,
            "items": self.items(by),
            "total": self.total.public(),
            "callbacks": self.callbacks.public() if self.accounts is None else None,
        }


async def summarize(
    reader: StatsReader, period: Period, accounts: Collection[str] | None = None
) -> Summary:
    """Read and add up the numbers of a period; other tasks get their turn in between.

    Parameters:
      reader: Reads the counters.
      period: The hours.
      accounts: The only accounts to count; then callbacks, which belong to none, are left out.
    """
    summary = Summary(period, accounts)
    async with reader.turn:
        await _read(reader, summary)
    return summary


async def _read(reader: StatsReader, summary: Summary) -> None:
    day, sums = "", Counter[bytes]()
    async for hour, fields in reader.hours(summary.period):
        hour_day = day_of(hour).isoformat()
        if hour_day != day:
            await _add_slices(summary, day, sums)
            day, sums = hour_day, Counter()
        _add_fields(sums, fields)
    await _add_slices(summary, day, sums)


def _add_fields(sums: Counter[bytes], fields: Fields) -> None:
    for name, count in fields.items():
        sums[name] += int(count)


async def _add_slices(summary: Summary, day: str, sums: Counter[bytes]) -> None:
    counted = iter(sums.items())
    while some := list(islice(counted, _SLICE)):
        summary.add(day, some)
        await asyncio.sleep(0)
