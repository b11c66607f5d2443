from __future__ import annotations

from service.jobs.lua.call import ScriptCall
from service.jobs.lua.get_lookup import LookupReply, lookup_reply


def get_or_start_lookup(
    target: str, fresh: int, entry: str, accounts: str, patience: int
) -> ScriptCall[LookupReply]:
    """Read what is known of a target, or start a lookup of it (get_or_start_lookup.lua).

    GroupCommit runs many of these calls at once.
    """
    args = (target, str(fresh), entry, accounts, str(patience))
    return ScriptCall("get_or_start_lookup", args, lookup_reply)
