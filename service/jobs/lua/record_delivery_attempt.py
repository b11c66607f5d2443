"""Record how an attempt at a delivery ended (record_delivery_attempt.lua)."""

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
    """Record an attempt, or that none was made, and what comes next.

    Parameters:
      delivery_id: The delivery.
      owner: As it was claimed.
      fence: As it was claimed.
      to: `pending` when another attempt follows.
      delay: From now until then, in ms.
      charge: Whether the attempt counts; `deferred` when none was made.
      attempt: What to show of it (JSON); '' for `deferred`.

    Returns:
      A call that replies `ok`, or `lost` when the claim no longer held: then nothing was written.
    """
    args = (delivery_id, owner, fence, to, delay, charge, attempt)
    return ScriptCall("record_delivery_attempt", args, word)
