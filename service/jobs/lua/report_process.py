from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def report_process(
    process: str,
    tier: str,
    valid: int,
    peak_us: int,
    subscribers: int,
    connections: tuple[int, int],
    *counters: tuple[str, int],
) -> ScriptCall[None]:
    """Store what a process has measured of itself (report_process.lua)."""
    flat = (part for counter in counters for part in counter)
    args = (process, tier, valid, peak_us, subscribers, *connections, *flat)
    return ScriptCall("report_process", args, lambda _reply: None)
