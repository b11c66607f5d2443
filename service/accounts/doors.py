"""Whether an account may act: its holds and cooldowns, and the people who open and close it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.records import rfc3339
from service.jobs.scripts import Scripts, Times

_BATCH: Final = 100


class Doors:
    """Opens, closes and shows accounts.

    Parameters:
      client: The event loop's Redis client.
      times: Leases and retention.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        self._client = client
        self._scripts = Scripts(client, times)

    async def pause(self, account: str, note: str = "") -> None:
        """Stop an account: its jobs are held until somebody resumes it.

        Parameters:
          account: Its name.
          note: Why, for people.
        """
        await self._scripts.run("account", account, "pause", note, 0)

    async def resume(self, account: str) -> int:
        """End every hold and cooldown of an account.

        Returns:
          How many jobs that these kept went on.
        """
        released = batch = int(await self._scripts.run("account", account, "resume", "", _BATCH))
        while batch >= _BATCH:
            batch = int(await self._scripts.run("account", account, "go_on", "", _BATCH))
            released += batch
        return released

    async def show(self, account: str) -> dict[str, Any]:
        """What stands in an account's way, and how much waits for it."""
        key = f"hg:acct:{account}"
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hgetall(key)
            pipe.zcard(f"{key}:line")
            pipe.zcard(f"{key}:held")
            pipe.zcard(f"{key}:cooling")
            pipe.get(f"{key}:turn")
            reply = await cast("Awaitable[list[Any]]", pipe.execute())
        (seconds, micros), raw, waiting, held, cooling, turn = reply
        fields = {name.decode(): value.decode() for name, value in raw.items()}
        cooldowns = _cooldowns(fields, seconds * 1000 + micros // 1000)
        return {
            "name": account,
            "status": _status(fields, cooldowns),
            "hold": _hold(fields),
            "cooldowns": cooldowns,
            "jobs": {
                "in_line": waiting,
                "held": held,
                "cooling_down": cooling,
                "turn": turn.decode() if turn else None,
            },
        }


def _status(fields: Mapping[str, str], cooldowns: list[dict[str, Any]]) -> str:
    if fields.get("hold"):
        return "paused" if fields["hold"] == "paused" else "held"
    return "cooling_down" if cooldowns else "active"


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
