"""Replays a stored event: runs the rules that have no job for it yet."""

from __future__ import annotations

from dataclasses import asdict

from service.dependencies import AppServices
from service.events.parsing import parse_stored
from service.jobs.records import EventRecord


async def run_new_rules(services: AppServices, event: EventRecord, body: bytes) -> list[str]:
    """Create the jobs of rules that have no job for the event yet.

    Parameters:
      services: The services of the process.
      event: The stored event; its source must be configured.
      body: The event's raw bytes.

    Returns:
      The ids of all jobs of the event, old and new.
    """
    source = services.sources[event.source]
    made = {record.source.get("rule") for record in await services.jobs.records(event.jobs)}
    again = parse_stored(source.scheme, event.id, event.type, body)
    plan = services.rules.plan(event.source, again, skip=frozenset(rule for rule in made if rule))
    notes = [*event.notes, *(asdict(note) for note in plan.results)]
    jobs = await services.ledger.replay(event.source, event.id, plan.drafts, notes[-100:])
    return list(event.jobs) if jobs is None else jobs
