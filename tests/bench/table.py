"""The rows of a measurement: figures side by side, and their ratios against goals."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Order = Literal["<=", ">=", "<"]


@dataclass(frozen=True)
class Goal:
    """A bound on a ratio or figure.

    Parameters:
      name: What is compared: `ours / ceiling`.
      value: The measured value.
      order: How the value must compare with the bound.
      bound: The bound.
      unit: The unit of both; empty for a ratio.
    """

    name: str
    value: float
    order: Order
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether this run met the goal."""
        if self.order == ">=":
            return self.value >= self.bound
        return self.value < self.bound or (self.order == "<=" and self.value == self.bound)


@dataclass(frozen=True)
class Row:
    """One thing measured.

    Parameters:
      title: What was measured.
      how: How it was measured, in a sentence or two: sizes, load, what ran where.
      figures: What was measured side by side, each already the median of its runs.
      unit: The unit of the figures.
      goals: The goals for them.
    """

    title: str
    how: str
    figures: Mapping[str, float]
    unit: str
    goals: Sequence[Goal] = field(default_factory=tuple)


#: One measurement: it starts what it needs, and leaves nothing running.
Measurement = Callable[[Path], Sequence[Row]]


def ratio(ours: float, other: float) -> float:
    """The ratio of two figures, to three digits."""
    return round(ours / other, 3)


def median(values: Sequence[float]) -> float:
    """The median of several runs."""
    return statistics.median(values)


def show(row: Row) -> None:
    """Print a row."""
    print(f"\n{row.title}\n  {row.how}")
    width = max(map(len, row.figures), default=0)
    for name, value in row.figures.items():
        print(f"    {name:<{width}} {value:>12,.2f} {row.unit}")
    for goal in row.goals:
        said = f"{goal.value:,.2f} {goal.unit}".rstrip()
        bound = f"{goal.order} {goal.bound:,g} {goal.unit}".rstrip()
        print(f"    {'met   ' if goal.met else 'MISSED'} {goal.name}: {said} (goal {bound})")


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as JSON."""
    told = [
        {**asdict(row), "goals": [{**asdict(goal), "met": goal.met} for goal in row.goals]}
        for row in rows
    ]
    path.write_text(json.dumps(told, indent=2) + "\n")
