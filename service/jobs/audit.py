"""The audit trail: what was decided, when and why, without what any job says.

The scripts write it (`lib/ends.lua`, `audit`) in the same step as what it tells of.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.records import rfc3339

_KEY: Final = "hg:audit"
#: How many entries one page may look at while it filters.
_MOST_SCANNED: Final = 2_000


class Audit:
    """Reads the trail.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def page(
        self, *, account: str | None, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page, newest first.

        Parameters:
          account: Only what concerns this account.
          cursor: Where the last page ended.
          limit: The most on the page. Fewer may stand on it though more follow.

        Returns:
          The entries, and the cursor of the next page (None at the end).
        """
        edge = f"({cursor}" if cursor else "+"
        count = limit if account is None else _MOST_SCANNED
        rows = await cast(
            "Awaitable[list[tuple[bytes, dict[bytes, bytes]]]]",
            self._client.xrevrange(_KEY, max=edge, min="-", count=count),
        )
        items: list[dict[str, Any]] = []
        last: str | None = None
        for name, raw in rows:
            last = name.decode()
            fields = {key.decode(): value.decode() for key, value in raw.items()}
            if account is None or fields["account"] == account:
                items.append(_shown(last, fields))
            if len(items) == limit:
                return items, last
        return items, last if len(rows) == count else None


def _shown(name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    source = json.loads(fields.get("source") or "{}")
    return {
        "at": rfc3339(int(name.partition("-")[0])),
        "decision": fields["decision"],
        "reason": fields["why"] or None,
        "by": fields["by"] or None,
        "account": fields["account"],
        "job_id": fields.get("job"),
        "kind": fields.get("kind"),
        "to": fields.get("to") or None,
        "post": fields.get("post") or None,
        "pk": fields.get("pk") or None,
        "event_id": source.get("event_id"),
        "rule": source.get("rule"),
        "text_hash": fields.get("text_hash"),
    }
