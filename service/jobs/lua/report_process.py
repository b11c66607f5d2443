"""Store what a process has measured of itself (report_process.lua)."""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def report_process(
    process: str,
    tier: str,
    valid: int,
    peak_us: int,
    subscribers: int,
    *counters: tuple[str, int],
) -> ScriptCall[None]:
    """Store a report.

    Parameters:
      process: Name of the process.
      tier: `web` or `worker`.
      valid: For how long the report is valid, in ms; 0 when the process ends.
      peak_us: The longest that its event loop was late lately, in microseconds.
      subscribers: How many clients listen to it live.
      counters: Name of each and by how much it grew.
    """
    flat = [part for counter in counters for part in counter]
    return ScriptCall("report_process", (process, tier, valid, peak_us, subscribers, *flat), _none)


def _none(_reply: object) -> None:
    return None
