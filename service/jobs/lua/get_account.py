from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.jobs.lua.call import ScriptCall


def get_account(account: str) -> ScriptCall[Mapping[str, Any]]:
    """Read an account: its holds, queue and budgets (get_account.lua)."""
    return ScriptCall("get_account", (account,), json.loads)
