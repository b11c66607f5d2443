from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

IntentReply = Literal["ok", "ask", "lost", "canceled", "expired", "held", "waiting", "refused"]


def record_intent(  # noqa: PLR0913, PLR0917 - as the script has them
    job_id: str,
    owner: str,
    fence: int,
    pk: str,
    context: str,
    facts: str,
    process: str,
    number: int,
    seen: int,
    age: int,
) -> ScriptCall[IntentReply]:
    """Charge a write and record it (record_intent.lua); only after `ok` may it be sent.

    `process`, `number`, `seen` and `age` are a raise of the process' high-water mark.
    """
    args = (job_id, owner, fence, pk, context, facts, process, number, seen, age)
    return ScriptCall("record_intent", args, word)
