"""Read what is known of a target, or start a lookup of it (get_or_start_lookup.lua).

GroupCommit runs many of these calls at once.
"""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall
from service.jobs.lua.get_lookup import LookupReply, lookup_reply


def get_or_start_lookup(
    target: str, fresh: int, entry: str, accounts: str, patience: int
) -> ScriptCall[LookupReply]:
    """Read what is known of a target; where it is not fresh, one job looks it up.

    Parameters:
      target: `user:{name}` or `post:{pk}`.
      fresh: For how long a result is fresh, in ms.
      entry: The job that looks it up, without an account (JSON, see draft_encoding.py).
      accounts: Names of those that may look it up, with spaces between them.
      patience: An account that may look only after so many ms is not chosen.
    """
    args = (target, str(fresh), entry, accounts, str(patience))
    return ScriptCall("get_or_start_lookup", args, lookup_reply)
