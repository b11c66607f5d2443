from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class DeliverySlice(NamedTuple):
    """What one call has found.

    Parameters:
      next: The cursor of what follows; None at the end.
      ids: The deliveries, newest first.
    """

    next: int | None
    ids: list[str]


def find_deliveries(
    query: bytes, cursor: int | None, limit: int, effort: int
) -> ScriptCall[DeliverySlice]:
    """Find deliveries (find_deliveries.lua)."""
    at = "" if cursor is None else str(cursor)
    return ScriptCall("find_deliveries", (query, at, limit, effort), _slice)


def _slice(reply: list[Any]) -> DeliverySlice:
    following, ids = reply
    return DeliverySlice(int(following) if following else None, [each.decode() for each in ids])
