"""A report as CSV: one line for each group, under names that stay the same. Pure."""

from __future__ import annotations

from typing import Any, Final

from service.stats.summary import GroupBy, Summary
from service.unicode_text.csv_cells import csv_lines, plain_cell

#: The columns after the first, which is named by what the groups are.
COLUMNS: Final = (
    *("sent", "failed", "failed_codes", "canceled", "expired", "uncertain", "dry_run"),
    *("wait_seconds_p50", "wait_seconds_p95"),
    *("lookups_succeeded", "lookups_failed", "lookups_canceled", "lookups_expired"),
)


def as_csv(summary: Summary, by: GroupBy) -> bytes:
    """The groups of a summary; an empty first cell stands for those without a name."""
    rows = [[plain_cell(item[by] or ""), *_cells(item)] for item in summary.items(by)]
    return csv_lines([[by, *COLUMNS], *rows])


def _cells(item: dict[str, Any]) -> list[object]:
    codes = item["failed"]["codes"]
    return [
        item["sent"],
        item["failed"]["total"],
        plain_cell(" ".join(f"{code}={count}" for code, count in codes.items())),
        *(item[name] for name in ("canceled", "expired", "uncertain", "dry_run")),
        *("" if wait is None else wait for wait in item["wait_seconds"].values()),
        *item["lookups"].values(),
    ]
