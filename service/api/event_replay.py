"""Running the rules that made no job yet over an event that is remembered."""

from __future__ import annotations

from dataclasses import asdict

from service.dependencies import AppServices
from service.events.parsing import parse_stored
from service.jobs.records import EventRecord


async def replay_event(web: AppServices, event: EventRecord, body: bytes) -> list[str]:
    """Make the jobs that newer rules ask for.

    Parameters:
      web: The process' parts.
      event: The event as recorded; its source is configured.
      body: Its raw bytes.

    Returns:
      The ids of all its jobs, old and new.
    """
    source = web.sources[event.source]
    made = {record.source.get("rule") for record in await web.jobs.records(event.jobs)}
    again = parse_stored(source.scheme, event.id, event.type, body)
    plan = web.rules.plan(event.source, again, skip=frozenset(rule for rule in made if rule))
    notes = [*event.notes, *(asdict(note) for note in plan.notes)]
    jobs = await web.ledger.replay(event.source, event.id, plan.drafts, notes[-100:])
    return list(event.jobs) if jobs is None else jobs
