from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word


def record_delivery_attempt(
    delivery_id: str,
    owner: str,
    fence: int,
    to: Literal["delivered", "failed", "pending"],
    delay: int,
    charge: Literal["counts", "free", "deferred"],
    attempt: str,
) -> ScriptCall[Literal["ok", "lost"]]:
    """Record an attempt at a delivery, or that none was made (record_delivery_attempt.lua)."""
    args = (delivery_id, owner, fence, to, delay, charge, attempt)
    return ScriptCall("record_delivery_attempt", args, word)
