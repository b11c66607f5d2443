"""Show an account (get_account.lua)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.jobs.lua.call import ScriptCall


def get_account(account: str) -> ScriptCall[Mapping[str, Any]]:
    """Read what keeps an account from work, what waits for it and what it has spent.

    Parameters:
      account: Its name.

    Returns:
      A call that replies the mapping that get_account.lua documents. A mapping that is empty may
      be an empty list: Lua does not tell them apart.
    """
    return ScriptCall("get_account", (account,), json.loads)
