"""Account controls: pause and resume accounts, and show their holds, cooldowns and budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Final, Literal, cast

import redis.asyncio as aredis

from service.accounts.holds import hold_view
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.control_account import control_account
from service.jobs.lua.control_all_accounts import control_all_accounts
from service.jobs.lua.get_account import get_account
from service.jobs.lua.runner import Scripts
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

AccountStatus = Literal["active", "cooling_down", "held", "paused"]

#: Jobs released in one script call, which blocks the store meanwhile.
_BATCH: Final = 25


class AccountControls:
    """Pauses, resumes and shows accounts.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def pause(
        self,
        account: str,
        note: str = "",
        *,
        kind: str | None = None,
        by: str = "person",
        address: str = "",
    ) -> None:
        """Pause an account: its jobs are held until it is resumed.

        Parameters:
          account: The account's name.
          note: Why, for people.
          kind: Pause this kind of action only.
          by: Who pauses it, for the timeline.
          address: Where that came from, for the audit log.
        """
        call = control_account(account, "pause", note, 0, by, kind or "", address)
        await self._scripts.run(call)
        await self._release_held(account, by)

    async def resume(
        self, account: str, *, kind: str | None = None, by: str = "person", address: str = ""
    ) -> int:
        """End every hold and cooldown of an account.

        Parameters:
          account: The account's name.
          kind: End only those of this kind of action.
          by: Who resumes it, for the timeline.
          address: Where that came from, for the audit log.

        Returns:
          How many held jobs were released.
        """
        call = control_account(account, "resume", "", _BATCH, by, kind or "", address)
        return await self._scripts.run(call) + await self._release_held(account, by)

    async def clear_verification_hold(
        self, account: str, reasons: Iterable[str], *, by: str = "person", address: str = ""
    ) -> int:
        """End an account's hold if it is one that a verification code can end.

        Parameters:
          account: The account's name.
          reasons: The holds to end; a pause of the account stays.
          by: Who submitted the code, for the timeline.
          address: Where that came from, for the audit log.

        Returns:
          How many held jobs were released.
        """
        holds = f" {' '.join(sorted(reasons))} "
        call = control_account(account, "end_hold", holds, _BATCH, by, "", address)
        return await self._scripts.run(call) + await self._release_held(account, by)

    async def pause_all(self, note: str = "", by: str = "person", address: str = "") -> None:
        """Pause all accounts, whatever their own state.

        Parameters:
          note: Why, for people.
          by: Who pauses them, for the timeline.
          address: Where that came from, for the audit log.
        """
        await self._scripts.run(control_all_accounts("pause", note, by, address))
        await self.recheck_all(by)

    async def resume_all(self, by: str = "person", address: str = "") -> int:
        """End the pause of all accounts; their own holds stay.

        Returns:
          How many held jobs were released.
        """
        await self._scripts.run(control_all_accounts("resume", "", by, address))
        return await self.recheck_all(by)

    async def recheck_all(self, by: str = "boot") -> int:
        """Release the held jobs of all accounts that nothing blocks any more.

        Returns:
          How many jobs were released.
        """
        accounts = await cast("Awaitable[set[bytes]]", self._client.smembers("hg:accts"))
        return sum([await self._release_held(name.decode(), by) for name in sorted(accounts)])

    async def _release_held(self, account: str, by: str) -> int:
        released = 0
        while batch := await self._scripts.run(
            control_account(account, "release", "", _BATCH, by, "")
        ):
            released += batch
        return released

    async def global_pause(self) -> dict[str, Any]:
        """The pause of all accounts, as the API shows it."""
        raw = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall("hg:paused"))
        fields = decode_fields(raw)
        return {
            "status": "paused" if fields else "active",
            "since": rfc3339(int(fields.get("since", "0"))),
            "note": fields.get("note") or None,
        }

    async def show(self, account: str) -> dict[str, Any]:
        """An account as the API shows it: what blocks it, its jobs and its budgets."""
        state = await self._scripts.run(get_account(account))
        fields: dict[str, str] = state["fields"] or {}
        sub_queues, held = state["sub_queues"] or {}, state["held"] or {}
        all_paused, now_ms = state.get("paused") is not None, state["now"]
        return {
            "name": account,
            "status": account_status(fields, all_paused=all_paused, now_ms=now_ms),
            "hold": hold_view(account, fields),
            "paused_everywhere": all_paused,
            "paused_kinds": sorted(
                name.removeprefix("pause:") for name in fields if name.startswith("pause:")
            ),
            "cooldowns": _cooldowns(fields, now_ms),
            "quiet_until": rfc3339(int(state.get("quiet_until") or 0)),
            "budgets": {kind: _budget(row) for kind, row in (state["budgets"] or {}).items()},
            "jobs": {
                "waiting": sum(sub_queues.values()),
                "held": sum(held.values()),
                "turn": state.get("turn"),
            },
        }


def account_status(fields: Mapping[str, str], *, all_paused: bool, now_ms: int) -> AccountStatus:
    """The status of an account.

    Parameters:
      fields: The account's hash.
      all_paused: Whether all accounts are paused.
      now_ms: The time on Redis' clock, Unix milliseconds.
    """
    if all_paused or fields.get("hold") == "paused":
        return "paused"
    if fields.get("hold"):
        return "held"
    return "cooling_down" if _cooldowns(fields, now_ms) else "active"


def _cooldowns(fields: Mapping[str, str], now_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "kind": name.removeprefix("cool:"),
            "reason": fields.get(f"cool_why:{name.removeprefix('cool:')}"),
            "until": rfc3339(int(until)),
        }
        for name, until in sorted(fields.items())
        if name.startswith("cool:") and int(until) > now_ms
    ]


def _budget(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "per_hour": row["per_hour"],
        "per_day": row["per_day"],
        "gap_seconds": [ms / 1000 for ms in row["gap"]],
        "limited_by": row.get("why"),
        "next_slot": rfc3339(int(row["at"])),
    }
