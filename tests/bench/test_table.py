"""The output of a measurement, printed and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.table import Goal, Order, Row, median, ratio, show, write

ROW = Row(
    "Durable accepts a second",
    "how it was done",
    {"ours": 4_321.5, "ceiling": 5_000.0},
    "/s",
    [Goal("ours / ceiling", ratio(4_321.5, 5_000), ">=", 0.75), Goal("p99", 160, "<=", 150, "ms")],
)


@pytest.mark.parametrize(
    ("value", "order", "met"),
    [
        (1.0, ">=", True),
        (0.999, ">=", False),
        (1.0, "<=", True),
        (1.001, "<=", False),
        (0.999, "<", True),
        (1.0, "<", False),
    ],
)
def test_a_goal_is_met_or_missed(value: float, order: Order, met: bool) -> None:
    assert Goal("it", value, order, 1.0).met is met


def test_a_row_is_shown_with_its_figures_and_goals(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROW)
    title, how, ours, ceiling, first, second = capsys.readouterr().out.strip().splitlines()
    assert (title, how.strip()) == (ROW.title, ROW.how)
    assert ours.split() == ["ours", "4,321.50", "/s"]
    assert ceiling.split() == ["ceiling", "5,000.00", "/s"]
    assert first.strip() == "met    ours / ceiling: 0.86 (goal >= 0.75)"
    assert second.strip() == "MISSED p99: 160.00 ms (goal <= 150 ms)"


def test_rows_are_written_as_json(tmp_path: Path) -> None:
    write([ROW], tmp_path / "bench.json")
    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert row["figures"] == ROW.figures
    assert [goal["met"] for goal in row["goals"]] == [True, False]


def test_the_median_of_turns_is_the_one_in_the_middle() -> None:
    assert median([3.0, 100.0, 1.0]) == 3.0
    assert ratio(1, 3) == 0.333
