"""Core dumps are off in every process of the stack, and in those that it starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.scenario import Scenario


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


@pytest.mark.parametrize("name", ["web", "worker", "scheduler"])
def test_no_process_dumps_core(scenario: Scenario, name: str) -> None:
    for pid in family(scenario.stack.processes[name].pid):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), (pid, limits)
