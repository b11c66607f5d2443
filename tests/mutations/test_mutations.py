"""`make mutations` tells what tests notice, and changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.mutations.report import line, summary
from tests.mutations.runner import Finding, Runner, Verdict
from tests.mutations.table import InvalidRow, Mutation, choose, read_table
from tests.mutations.working_copy import WorkingCopy, working_copy

CODE = """\
def is_late(hour, limit=22):
    return hour > limit

def count_down(number):
    while number > 0:
        number -= 1
    return number
"""
TESTS = """\
import code_under_test

def test_midnight_is_late():
    assert code_under_test.is_late(24)

def test_noon_is_not_late():
    assert not code_under_test.is_late(12)

def test_it_ends():
    assert code_under_test.count_down(3) == 0
"""
ROW = Mutation(
    "M1", "room", "code_under_test.py", "hour > limit", "hour < limit", "Harm.", ("test_it.py",)
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with code and tests, of which one file is not committed yet."""
    (tmp_path / "code_under_test.py").write_text(CODE)
    (tmp_path / "ignored.py").write_text("raise SystemExit")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


@pytest.fixture
def copy(repository: Path) -> Iterator[WorkingCopy]:
    with working_copy(repository) as copy:
        yield copy


def judge(copy: WorkingCopy, limit_seconds: float = 60, **changes: Any) -> Finding:
    return Runner(copy, limit_seconds).judge(replace(ROW, **changes))


def test_a_mutation_is_killed_by_the_test_that_notices_it(copy: WorkingCopy) -> None:
    finding = judge(copy)

    assert (finding.verdict, finding.by) == (Verdict.KILLED, "test_it.py::test_midnight_is_late")


def test_a_mutation_that_no_test_notices_survives(copy: WorkingCopy) -> None:
    finding = judge(copy, new="hour >= limit")

    assert finding.verdict is Verdict.SURVIVED
    assert line(finding).endswith("Harm.")


def test_a_mutation_that_never_ends_is_killed_by_the_time_limit(copy: WorkingCopy) -> None:
    finding = judge(copy, 10, old="number -= 1", new="number += 1")

    assert (finding.verdict, finding.by) == (Verdict.KILLED, "no end within 10 s")


@pytest.mark.parametrize("changes", [{"old": "hour"}, {"old": "minute"}, {"file": "gone.py"}])
def test_a_row_that_does_not_fit_the_code_is_stale(
    copy: WorkingCopy, changes: dict[str, Any]
) -> None:
    finding = judge(copy, **changes)

    assert finding.verdict is Verdict.STALE
    assert "M1" in finding.by


def test_tests_that_fail_or_do_not_exist_say_nothing(copy: WorkingCopy) -> None:
    (copy.root / "test_it.py").write_text(TESTS + "\ndef test_broken():\n    assert 0\n")

    assert judge(copy).verdict is Verdict.STALE
    assert judge(copy, tests=("test_other.py",)).verdict is Verdict.STALE


def test_the_copy_has_what_git_would_have_and_the_repository_stays_as_it_is(
    repository: Path, copy: WorkingCopy
) -> None:
    assert (copy.root / "test_it.py").exists()
    assert not (copy.root / "ignored.py").exists()
    with copy.mutated(ROW):
        assert "hour < limit" in (copy.root / ROW.file).read_text()
        assert (repository / ROW.file).read_text() == CODE
    assert (copy.root / ROW.file).read_text() == CODE


def test_no_bytecode_of_one_mutation_passes_for_that_of_another(copy: WorkingCopy) -> None:
    # Python knows the source of its bytecode by the size and the second of its last change
    path, seconds = copy.root / ROW.file, []
    for new in ("hour < limit", "hour = limit"):
        with copy.mutated(replace(ROW, new=new)):
            seconds.append(int(path.stat().st_mtime))
        seconds.append(int(path.stat().st_mtime))

    assert len(set(seconds)) == len(seconds)


def test_equivalent_mutations_count_in_neither_figure() -> None:
    killed = Finding(ROW, Verdict.KILLED, "a test", 1)
    missed = Finding(replace(ROW, id="M2"), Verdict.SURVIVED, "", 1)
    equivalent = Finding(replace(ROW, id="M3", equivalent="A reason."), Verdict.SURVIVED, "", 1)

    assert "| room | 1 of 2 (50%) | M2 survived |" in summary([killed, missed, equivalent])
    assert line(equivalent).startswith("equivalent")


def test_rows_are_chosen_by_id_and_by_room() -> None:
    rows = [ROW, replace(ROW, id="M2"), replace(ROW, id="M3", room="other")]

    assert [row.id for row in choose(rows, [])] == ["M1", "M2", "M3"]
    assert [row.id for row in choose(rows, ["other", "M1"])] == ["M1", "M3"]
    with pytest.raises(InvalidRow, match="M9"):
        choose(rows, ["M9"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('[[mutation]]\nid = "M1"\ntests = []', "M1 in room.toml"),
        ('[[mutation]]\nid = "M1"', "tests"),
        ("mutation = []\n", ""),
    ],
)
def test_a_row_that_lacks_a_field_is_refused(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "room.toml").write_text(rows)
    if not message:
        assert read_table(tmp_path) == []
        return
    with pytest.raises(InvalidRow, match=message):
        read_table(tmp_path)


def test_an_id_stands_for_one_row() -> None:
    ids = [mutation.id for mutation in read_table()]

    assert len(ids) == len(set(ids)) > 80
