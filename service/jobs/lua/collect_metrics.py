"""Gather the numbers of GET /metrics (collect_metrics.lua)."""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def collect_metrics(queues: str, *accounts: str) -> ScriptCall[bytes]:
    """Gather how much there is of everything, and what was counted.

    Parameters:
      queues: Dramatiq's queues, with spaces between them.
      accounts: The accounts to report.

    Returns:
      A call that replies JSON, of the shape that collect_metrics.lua documents. It is left as it
      is: with many accounts, parsing it is work for a thread.
    """
    return ScriptCall("collect_metrics", (queues, *accounts), bytes)
