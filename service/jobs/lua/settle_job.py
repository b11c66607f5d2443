from __future__ import annotations

import json
from typing import Final, Literal

from service.jobs.lua.call import ScriptCall, word
from service.jobs.model import Status

SettledAs = Literal["sent", "not_sent"]
SettleReply = Literal["ok", "refused", "erased", "newer", "none"]

_END: Final = {"sent": Status.SUCCEEDED, "not_sent": Status.FAILED}


def settle_job(
    job_id: str, settled_as: SettledAs, by: str, address: str = "", note: str | None = None
) -> ScriptCall[SettleReply]:
    """End an uncertain job as a person says that its write went (settle_job.lua)."""
    args = (job_id, str(_END[settled_as]), by, address, json.dumps(note))
    return ScriptCall("settle_job", args, word)
