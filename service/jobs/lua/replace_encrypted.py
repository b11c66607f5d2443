from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word


def replace_encrypted(
    key: str,
    read: str,
    new_key: str,
    new: bytes | str,
    job_id: str,
    encrypted: Literal["1", ""],
) -> ScriptCall[Literal["ok", "changed", "busy"]]:
    """Replace a stored body, text or photo by one that says the same (replace_encrypted.lua)."""
    args = (key, read, new_key, new, job_id, encrypted)
    return ScriptCall("replace_encrypted", args, word)
