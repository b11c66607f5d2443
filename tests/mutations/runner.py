"""Runs the tests of one mutation and tells whether they noticed it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.mutations.table import InvalidRow, Mutation
from tests.mutations.working_copy import WorkingCopy

#: How long pytest may take to stop its servers when it is interrupted.
_GRACE_SECONDS: Final = 10
_PASSED: Final = 0
#: Exit codes by which pytest says that it ran no test.
_NOT_RUN: Final = (3, 4, 5)
_FIRST_FAILURE: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Verdict(StrEnum):
    """What became of a mutation."""

    KILLED = "killed"
    SURVIVED = "survived"
    #: The row does not fit the code, or its tests fail without it: it says nothing.
    STALE = "stale"


@dataclass(frozen=True)
class Finding:
    """The result of one mutation.

    Parameters:
      by: The test that noticed it, or why there is no verdict.
      seconds: How long the tests took.
    """

    mutation: Mutation
    verdict: Verdict
    by: str
    seconds: float


@dataclass(frozen=True)
class PytestRun:
    """How a run of tests ended.

    Parameters:
      code: pytest's exit code; None if it took longer than its time limit.
      failure: The first test that failed, or the last lines of the output.
    """

    code: int | None
    failure: str

    @property
    def noticed(self) -> bool:
        """Whether a test failed, or never ended."""
        return self.code not in (_PASSED, *_NOT_RUN)


class Runner:
    """Tries mutations in one working copy, one after the other.

    Parameters:
      copy: The working copy.
      limit_seconds: How long the tests of one mutation may take.
    """

    def __init__(self, copy: WorkingCopy, limit_seconds: float) -> None:
        self._copy = copy
        self._limit_seconds = limit_seconds
        self._clean: dict[tuple[str, ...], PytestRun] = {}

    def judge(self, mutation: Mutation) -> Finding:
        """Run a mutation's tests without it, once for all that have the same, and with it."""
        started = time.monotonic()
        verdict, by = self._verdict(mutation)
        return Finding(mutation, verdict, by, time.monotonic() - started)

    def _verdict(self, mutation: Mutation) -> tuple[Verdict, str]:
        clean = self._run_clean(mutation.tests)
        if clean.code != _PASSED:
            return Verdict.STALE, f"its tests fail without it: {clean.failure}"
        try:
            with self._copy.mutated(mutation):
                run = self._run(mutation.tests)
        except InvalidRow as error:
            return Verdict.STALE, str(error)
        return (Verdict.KILLED, run.failure) if run.noticed else (Verdict.SURVIVED, run.failure)

    def _run_clean(self, tests: tuple[str, ...]) -> PytestRun:
        if tests not in self._clean:
            self._clean[tests] = self._run(tests)
        return self._clean[tests]

    def _run(self, tests: Sequence[str]) -> PytestRun:
        return run_tests(self._copy.root, tests, self._limit_seconds)


def run_tests(root: Path, tests: Sequence[str], limit_seconds: float) -> PytestRun:
    """Run tests until the first one fails.

    Parameters:
      root: The root of the repository or of a copy.
      tests: Files or node ids.
      limit_seconds: After so long the run is stopped.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-n", "0", *tests]
    process = subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        return PytestRun(None, f"no end within {limit_seconds:.0f} s")
    return PytestRun(process.returncode, _first_failure(output))


def _stop(process: subprocess.Popen[str]) -> None:
    """Have pytest stop what it has started, and then stop whatever is left of its session."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.communicate(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _first_failure(output: str) -> str:
    found = _FIRST_FAILURE.search(output)
    return found[1] if found else " ".join(output.split()[-12:])
