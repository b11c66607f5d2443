from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def report_process(
    process: str,
    tier: str,
    valid: int,
    peak_us: int,
    subscribers: int,
    connections: int,
    connection_limit: int,
    *counters: tuple[str, int],
) -> ScriptCall[None]:
    """Store what a process has measured of itself (report_process.lua)."""
    flat = (part for counter in counters for part in counter)
    numbers = (valid, peak_us, subscribers, connections, connection_limit)
    args = (process, tier, *numbers, *flat)
    return ScriptCall("report_process", args, lambda _reply: None)
