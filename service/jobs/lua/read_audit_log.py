from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall, hash_of
from service.redis.decoding import decode_fields


class AuditSlice(NamedTuple):
    """Whether the log ends here, the id of the last entry looked at, and the entries found.

    Each entry is its id and its fields, newest first; `last` is '' if there was none.
    """

    done: bool
    last: str
    entries: Sequence[tuple[str, Mapping[str, str]]]


def read_audit_log(
    query: bytes, newest: str, oldest: str, effort: int, limit: int
) -> ScriptCall[AuditSlice]:
    """Search a part of the audit log (read_audit_log.lua)."""
    return ScriptCall("read_audit_log", (query, newest, oldest, effort, limit), _slice)


def _slice(reply: list[Any]) -> AuditSlice:
    done, last, rows = reply
    entries = [(entry_id.decode(), decode_fields(hash_of(flat))) for entry_id, flat in rows]
    return AuditSlice(bool(done), last.decode(), entries)
