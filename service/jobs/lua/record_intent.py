from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

IntentReply = Literal["ok", "ask", "lost", "canceled", "expired", "held", "waiting", "refused"]


def record_intent(
    job_id: str, owner: str, fence: int, pk: str, context: str, facts: str
) -> ScriptCall[IntentReply]:
    """Charge a write and record it (record_intent.lua); only after `ok` may it be sent."""
    return ScriptCall("record_intent", (job_id, owner, fence, pk, context, facts), word)
