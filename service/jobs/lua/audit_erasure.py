from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def audit_erasure(by: str, address: str, person: str) -> ScriptCall[None]:
    """Record that a person was erased (audit_erasure.lua)."""
    return ScriptCall("audit_erasure", (by, address, person), lambda _: None)
