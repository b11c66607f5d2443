"""A report as CSV: stable columns, and nothing that a spreadsheet evaluates."""

from __future__ import annotations

from service.reports.csv_file import as_csv
from service.stats.period import Period
from service.stats.summary import Summary


def test_the_columns_stay_the_same() -> None:
    assert as_csv(Summary(Period(0, 24)), "rule") == (
        b"rule,sent,failed,failed_codes,canceled,expired,uncertain,dry_run,wait_seconds_p50,"
        b"wait_seconds_p95,lookups_succeeded,lookups_failed,lookups_canceled,lookups_expired\r\n"
    )


def test_a_group_is_a_line() -> None:
    found = Summary(Period(0, 24))
    counters = {
        b"job:shop::comment:succeeded:0": 4,
        b"job:shop::dm:failed:a": 1,
        b"job:shop::dm:failed:b": 2,
        b"job:shop::lookup:failed:b": 3,
    }
    found.add("1970-01-01", counters.items())

    day, line = as_csv(found, "day").splitlines()[1].decode(), as_csv(found, "rule")
    assert day == "1970-01-01,4,3,a=1 b=2,0,0,0,0,0.5,0.95,0,3,0,0"
    assert line.splitlines()[1].startswith(b",4,3,")


def test_no_cell_is_a_formula() -> None:
    found = Summary(Period(0, 24))
    found.add("1970-01-01", [(b"job:shop:=1+1:dm:failed:@SUM(A1)", 1)])

    [_, line] = as_csv(found, "rule").decode().splitlines()
    assert line.startswith("'=1+1,0,1,'@SUM(A1)=1,")
