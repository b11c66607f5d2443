"""Check records and indexes, and repair them if asked to (check_consistency.lua)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from service.jobs.lua.call import ScriptCall

CheckAction = Literal["report", "repair", "rescue"]


class FoundProblem(NamedTuple):
    """Something that is not as it must be.

    Parameters:
      id: The job, delivery or account.
      problem: A key of consistency_problems.PROBLEMS.
      where: The index, key or field.
      outcome: `repairable` (a repair would fix it), `repaired`, or `lost` (no repair can).
    """

    id: str
    problem: str
    where: str
    outcome: Literal["repairable", "repaired", "lost"]


class ConsistencyReply(NamedTuple):
    """What one call has found.

    Parameters:
      checked: How many entries were checked.
      done: Whether the last entry was; otherwise the limit was reached before.
      problems: In the order in which they were found.
    """

    checked: int
    done: bool
    problems: list[FoundProblem]


def check_consistency(
    action: CheckAction, limit: int, *entries: tuple[str | bytes, str | bytes]
) -> ScriptCall[ConsistencyReply]:
    """Check entries, or the next slice of unended work.

    Parameters:
      action: `report` or `repair` checks everything about the entries; `rescue` checks whether
        anything leads to the unended work in these indexes, from where the last call stopped, and
        repairs what it finds.
      limit: The most entries to check.
      entries: What and its id: `job`, `delivery`, `export`, `account`, or the name of an index
        with one of its members. To rescue: `index` and its name.
    """
    flat = [part for entry in entries for part in entry]
    return ScriptCall("check_consistency", (action, limit, *flat), _reply)


def _reply(reply: list[Any]) -> ConsistencyReply:
    checked, done, rows = reply
    return ConsistencyReply(int(checked), bool(done), [_problem(row) for row in rows])


def _problem(row: list[bytes]) -> FoundProblem:
    # A damaged index may have any bytes as a member.
    words: list[Any] = [part.decode("utf-8", "backslashreplace") for part in row]
    return FoundProblem(*words)
