"""Search the audit log for one account (read_audit_log.lua)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall, flat_to_dict


class AuditSlice(NamedTuple):
    """What a part of the log has of an account.

    Parameters:
      done: Whether the log ends here.
      last: Id of the last entry that was looked at; '' for none.
      entries: Id and fields of each, newest first.
    """

    done: bool
    last: str
    entries: Sequence[tuple[str, Mapping[str, str]]]


def read_audit_log(account: str, start: str, scan: int, limit: int) -> ScriptCall[AuditSlice]:
    """Search a part of the log, newest first.

    Parameters:
      account: Whose entries to find.
      start: `+` for the newest, or an id with `(` before it to go on behind it.
      scan: The most entries to look at.
      limit: The most entries to find.
    """
    return ScriptCall("read_audit_log", (account, start, scan, limit), _slice)


def _slice(reply: list[Any]) -> AuditSlice:
    done, last, rows = reply
    entries = [(name.decode(), flat_to_dict(flat)) for name, flat in rows]
    return AuditSlice(bool(done), last.decode(), entries)
