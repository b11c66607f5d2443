from __future__ import annotations

from typing import Any, Literal, NamedTuple

from service.jobs.consistency_problems import Defect
from service.jobs.lua.call import ScriptCall


class ConsistencyReply(NamedTuple):
    """How many entries were checked, whether the last one was, and what was found, in order."""

    checked: int
    done: bool
    problems: list[Defect]


def check_consistency(
    action: Literal["report", "repair", "rescue"],
    limit: int,
    *entries: tuple[str | bytes, str | bytes],
) -> ScriptCall[ConsistencyReply]:
    """Check entries, or the next slice of unended work (check_consistency.lua)."""
    flat = (part for entry in entries for part in entry)
    return ScriptCall("check_consistency", (action, limit, *flat), _reply)


def _reply(reply: list[Any]) -> ConsistencyReply:
    checked, done, rows = reply
    return ConsistencyReply(checked, bool(done), [_defect(row) for row in rows])


def _defect(row: list[bytes]) -> Defect:
    # A damaged index may have any bytes as a member.
    words: list[Any] = [part.decode("utf-8", "backslashreplace") for part in row]
    return Defect(*words)
