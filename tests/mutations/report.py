"""What `make mutations` prints: a line for each mutation, and a table of the rooms."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutations.runner import Finding, Verdict


def line(finding: Finding) -> str:
    """One mutation's result, and which test noticed it or what would go wrong unnoticed."""
    mutation = finding.mutation
    survived = finding.verdict is Verdict.SURVIVED
    word = "equivalent" if survived and mutation.equivalent else finding.verdict
    said = (mutation.equivalent or mutation.harm) if survived else finding.by
    return f"{word:<10} {mutation.id:<4} {mutation.file} ({finding.seconds:.0f} s): {said}"


def summary(findings: Sequence[Finding]) -> str:
    """A Markdown table of the rooms; equivalent mutations count in neither figure."""
    counted = [each for each in findings if not _is_equivalent(each)]
    rooms = sorted({each.mutation.room for each in counted})
    rows = [_row(room, [each for each in counted if each.mutation.room == room]) for room in rooms]
    head = ["| Room | Noticed | Not noticed |", "|---|---|---|"]
    return "\n".join([*head, *rows, _row("**all**", counted)])


def _row(name: str, findings: Sequence[Finding]) -> str:
    missed = [each for each in findings if each.verdict is not Verdict.KILLED]
    noticed, total = len(findings) - len(missed), len(findings)
    share = f" ({noticed / total:.0%})" if total else ""
    listed = ", ".join(f"{each.mutation.id} {each.verdict}" for each in missed)
    return f"| {name} | {noticed} of {total}{share} | {listed} |"


def _is_equivalent(finding: Finding) -> bool:
    return finding.verdict is Verdict.SURVIVED and bool(finding.mutation.equivalent)
