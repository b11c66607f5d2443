"""The audit trail: what was decided, when and why, without what any job says.

The scripts write it (`audit` in lib/audit_log.lua) in the same step as what it tells of.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.read_audit_log import read_audit_log
from service.jobs.lua.runner import Scripts
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

_KEY: Final = "hg:audit"
#: How many entries one page may look at while it filters.
_MOST_SCANNED: Final = 2_000
#: How many of them one script call looks at: everybody else waits meanwhile.
_STRIDE: Final = 500


class AuditLog:
    """Reads the trail.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

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
        if account is not None:
            return await self._page_of(account, cursor, limit)
        edge = f"({cursor}" if cursor else "+"
        rows = await cast(
            "Awaitable[list[tuple[bytes, dict[bytes, bytes]]]]",
            self._client.xrevrange(_KEY, max=edge, min="-", count=limit),
        )
        items = [_shown(name.decode(), decode_fields(raw)) for name, raw in rows]
        return items, rows[-1][0].decode() if len(rows) == limit else None

    async def _page_of(
        self, account: str, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        items: list[dict[str, Any]] = []
        for _ in range(_MOST_SCANNED // _STRIDE):
            edge = f"({cursor}" if cursor else "+"
            call = read_audit_log(account, edge, _STRIDE, limit - len(items))
            found = await self._scripts.run(call)
            items += [_shown(name, fields) for name, fields in found.entries]
            cursor = found.last
            if found.done or len(items) == limit:
                return items, None if found.done else cursor
        return items, cursor


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
