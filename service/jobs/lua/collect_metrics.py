from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def collect_metrics(queues: str, *accounts: str) -> ScriptCall[bytes]:
    """Gather the numbers of GET /metrics (collect_metrics.lua).

    The reply stays JSON: with many accounts, parsing it is work for a thread.
    """
    return ScriptCall("collect_metrics", (queues, *accounts), bytes)
