"""Whether an account may act: holds, cooldowns, budgets, and the people who open and close it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Final, Literal, cast

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.control_account import control_account
from service.jobs.lua.control_all_accounts import control_all_accounts
from service.jobs.lua.get_account import get_account
from service.jobs.lua.runner import Scripts
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

AccountStatus = Literal["active", "cooling_down", "held", "paused"]

#: One script call keeps everybody else waiting meanwhile.
_BATCH: Final = 25


class AccountControls:
    """Opens, closes and shows accounts.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def pause(
        self, account: str, note: str = "", *, kind: str | None = None, who: str = "person"
    ) -> None:
        """Stop an account: its jobs are held until somebody resumes it.

        Parameters:
          account: Its name.
          note: Why, for people.
          kind: Stop this kind of action only.
          who: Who asks.
        """
        await self._scripts.run(control_account(account, "pause", note, 0, who, kind or ""))
        await self._release_held(account, who)

    async def resume(self, account: str, *, kind: str | None = None, who: str = "person") -> int:
        """End every hold and cooldown of an account.

        Parameters:
          account: Its name.
          kind: End only what concerns this kind of action.
          who: Who asks.

        Returns:
          How many jobs that these kept went on.
        """
        call = control_account(account, "resume", "", _BATCH, who, kind or "")
        return await self._scripts.run(call) + await self._release_held(account, who)

    async def clear_verification_hold(
        self, account: str, reasons: Iterable[str], *, who: str = "person"
    ) -> int:
        """End an account's hold if it is one of those that a person's answer is for.

        Parameters:
          account: Its name.
          reasons: The holds that end; a pause besides them stays.
          who: Who answers.

        Returns:
          How many jobs went on.
        """
        ended = f" {' '.join(sorted(reasons))} "
        call = control_account(account, "answer", ended, _BATCH, who, "")
        return await self._scripts.run(call) + await self._release_held(account, who)

    async def pause_all(self, note: str = "", who: str = "person") -> None:
        """Stop every account, whatever its own state.

        Parameters:
          note: Why, for people.
          who: Who asks.
        """
        await self._scripts.run(control_all_accounts("pause", note, who))
        await self.recheck_all(who)

    async def resume_all(self, who: str = "person") -> int:
        """End the stop of every account; holds of their own stay.

        Returns:
          How many jobs went on.
        """
        await self._scripts.run(control_all_accounts("resume", "", who))
        return await self.recheck_all(who)

    async def recheck_all(self, who: str = "boot") -> int:
        """See for every account whether somebody may go who could not before.

        Returns:
          How many held jobs went on.
        """
        accounts = await cast("Awaitable[set[bytes]]", self._client.smembers("hg:accts"))
        return sum([await self._release_held(name.decode(), who) for name in sorted(accounts)])

    async def _release_held(self, account: str, who: str) -> int:
        released = 0
        while batch := await self._scripts.run(
            control_account(account, "go_on", "", _BATCH, who, "")
        ):
            released += batch
        return released

    async def global_pause(self) -> dict[str, Any]:
        """The switch for every account."""
        raw = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall("hg:paused"))
        fields = decode_fields(raw)
        return {
            "status": "paused" if fields else "active",
            "since": rfc3339(int(fields.get("since", "0"))),
            "note": fields.get("note") or None,
        }

    async def show(self, account: str) -> dict[str, Any]:
        """What stands in an account's way, what waits for it and what it has spent."""
        seen = await self._scripts.run(get_account(account))
        fields: dict[str, str] = seen["fields"] or {}
        cooldowns = _cooldowns(fields, seen["now"])
        sub_queues, held = seen["sub_queues"] or {}, seen["held"] or {}
        return {
            "name": account,
            "status": status_of(fields, everything=bool(seen.get("paused")), now_ms=seen["now"]),
            "hold": _hold(fields),
            "paused_everywhere": seen.get("paused") is not None,
            "paused_kinds": sorted(
                name.removeprefix("pause:") for name in fields if name.startswith("pause:")
            ),
            "cooldowns": cooldowns,
            "quiet_until": rfc3339(int(seen.get("quiet_until") or 0)),
            "budgets": {pace: _budget(row) for pace, row in (seen["budgets"] or {}).items()},
            "jobs": {
                "in_line": sum(sub_queues.values()),
                "held": sum(held.values()),
                "turn": seen.get("turn"),
            },
        }


def status_of(fields: Mapping[str, str], *, everything: bool, now_ms: int) -> AccountStatus:
    """What an account is, in a word.

    Parameters:
      fields: Its hash.
      everything: Whether every account is paused.
      now_ms: By Redis' clock.
    """
    if everything or fields.get("hold") == "paused":
        return "paused"
    if fields.get("hold"):
        return "held"
    return "cooling_down" if _cooldowns(fields, now_ms) else "active"


def _hold(fields: Mapping[str, str]) -> dict[str, Any] | None:
    if not fields.get("hold"):
        return None
    return {
        "reason": fields["hold"],
        "note": fields.get("hold_note") or None,
        "since": rfc3339(int(fields.get("hold_since", "0"))),
    }


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
