"""`make mutations`: breaks the code in one place at a time and shows what the tests notice.

    python -m tests.mutations [ID or room ...] [--jobs N] [--limit SECONDS]

Nothing in the working tree changes: every job mutates a copy of its own. Fails if a mutation
survives, or if a row of the table no longer fits the code.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from tests.mutations.report import line, summary
from tests.mutations.runner import Finding, Runner, Verdict
from tests.mutations.table import InvalidRow, Mutation, choose, read_table
from tests.mutations.working_copy import working_copy

REPOSITORY = Path(__file__).parents[2]


def main() -> int:
    """Try the chosen mutations; return 0 if each was noticed."""
    parser = argparse.ArgumentParser(prog="make mutations")
    parser.add_argument("names", nargs="*", metavar="ID or room")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=240, metavar="SECONDS")
    arguments = parser.parse_args()
    try:
        mutations = choose(read_table(), arguments.names)
    except InvalidRow as error:
        parser.error(str(error))
    findings = judge_all(mutations, arguments.jobs, arguments.limit)
    print(summary(findings))
    return 0 if all(_is_well(finding) for finding in findings) else 1


def judge_all(mutations: Sequence[Mutation], jobs: int, limit_seconds: float) -> list[Finding]:
    """Try mutations, so many at a time, and print each result as it comes."""
    # Rows with the same tests are neighbours, so that one copy runs these without a mutation.
    by_tests: dict[tuple[str, ...], list[Mutation]] = {}
    for mutation in mutations:
        by_tests.setdefault(mutation.tests, []).append(mutation)
    runners: queue.SimpleQueue[Runner] = queue.SimpleQueue()
    printing = threading.Lock()

    def judge_group(group: Sequence[Mutation]) -> list[Finding]:
        runner, findings = runners.get(), []
        for mutation in group:
            findings.append(runner.judge(mutation))
            with printing:
                print(line(findings[-1]), flush=True)
        runners.put(runner)
        return findings

    with ExitStack() as stack, ThreadPoolExecutor(jobs) as pool:
        for _ in range(jobs):
            runners.put(Runner(stack.enter_context(working_copy(REPOSITORY)), limit_seconds))
        groups = [pool.submit(judge_group, group) for group in by_tests.values()]
        return [finding for group in as_completed(groups) for finding in group.result()]


def _is_well(finding: Finding) -> bool:
    return finding.verdict is Verdict.KILLED or (
        finding.verdict is Verdict.SURVIVED and bool(finding.mutation.equivalent)
    )


if __name__ == "__main__":
    sys.exit(main())
