"""Record that a write is about to happen (record_intent.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

IntentReply = Literal["ok", "ask", "lost", "canceled", "expired", "held", "waiting", "refused"]


def record_intent(
    job_id: str, owner: str, fence: int, pk: str, context: str, facts: str
) -> ScriptCall[IntentReply]:
    """Charge the write and record it; only after `ok` may it be sent.

    Parameters:
      job_id: The job.
      owner: As it was claimed.
      fence: As it was claimed.
      pk: The recipient's or the post's.
      context: What the write can be recognized by later; '' for nothing.
      facts: What the claim found out (JSON): `thread` (`old`, `new` or ''), `username` (or ''),
        `reads` (how many calls that took).

    Returns:
      A call that replies `ok`; `ask` when it must be looked up whether the recipient's thread
      exists; otherwise what has become of the job instead.
    """
    return ScriptCall("record_intent", (job_id, owner, fence, pk, context, facts), word)
