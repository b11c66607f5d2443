"""The steps of an operation that replays events: each evaluates the rules of the next events, and
makes their jobs and records how far it has come in one script.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from typing import Final, NamedTuple, cast

import redis.asyncio as aredis

from service.jobs.draft_encoding import dumps
from service.jobs.ledger import Ledger
from service.jobs.lua.advance_replay import ReplayedEvent, ReplayProgress, advance_replay
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE
from service.jobs.lua.runner import Scripts
from service.jobs.prepared_replay import PreparedReplay
from service.jobs.queries import JobQueries
from service.operations.event_replay import EventReplay, ReplayPlanner
from service.operations.model import PROBLEMS, Operation

#: Events evaluated between two scripts; a worker that is stopped loses no more.
_EVENTS_AT_ONCE: Final = 25


class _Part(NamedTuple):
    """An event, or a part of one that has many jobs.

    Parameters:
      event: What is to be made of it.
      jobs: How many jobs that may be.
    """

    event: ReplayedEvent
    jobs: int


class ReplaySteps:
    """Replays events of operations.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      ledger: Encodes the jobs.
      queries: Reads the events.
      planner: Has the rules.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        ledger: Ledger,
        queries: JobQueries,
        planner: ReplayPlanner,
    ) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._ledger = ledger
        self._queries = queries
        self._planner = planner

    def may_drive(self, operation: Operation) -> bool:
        """Whether this process has the rules that an operation was planned with."""
        return operation.rules == self._planner.digest

    async def advance(self, operation: Operation, done: int) -> ReplayProgress:
        """Replay the next events.

        Parameters:
          operation: The operation.
          done: How many of its events are done.

        Returns:
          How far it has come.
        """
        items = await cast(
            "Awaitable[list[bytes]]",
            self._client.lrange(f"hg:opitems:{operation.id}", done, done + _EVENTS_AT_ONCE - 1),
        )
        parts = [part for item in items for part in await self._event(item.decode(), operation)]
        for step in _steps(parts):
            progress = await self._run(operation, done, step)
            done += sum(part.event.is_last for part in step)
            if progress.done != done:
                return progress  # another worker was faster: what was read is out of date
        return progress if parts else await self._run(operation, done, ())

    async def _run(self, operation: Operation, done: int, step: Sequence[_Part]) -> ReplayProgress:
        events = (part.event for part in step)
        return await self._scripts.run(advance_replay(operation.id, done, *events))

    async def _event(self, item: str, operation: Operation) -> list[_Part]:
        """What is to be made of one event, in as many parts as it takes."""
        source, _, event_id = item.partition(":")
        found = [
            event
            for event in await self._queries.events_with_id(event_id)
            if event.source == source
        ]
        if not found:
            return [_left_alone(item, "unknown_event")]
        replay = await self._planner.plan(found[0], operation.rule)
        if replay.problem:
            return [_left_alone(item, replay.problem)]
        prepared = await self._ledger.prepare_replay(
            source, event_id, replay.drafts, by=operation.by
        )
        return list(_parts(prepared, replay))


def _left_alone(item: str, problem: str) -> _Part:
    return _Part(ReplayedEvent(item, "", "", problem, 1, 1, "", ""), 0)


def _parts(prepared: PreparedReplay, replay: EventReplay) -> Iterator[_Part]:
    for number, some in enumerate(prepared.slices, 1):
        event = ReplayedEvent(
            event=prepared.event,
            entries=some.entries,
            notes=dumps(list(replay.notes)),
            otherwise=replay.outcome,
            is_problem=int(replay.outcome in PROBLEMS),
            is_last=int(number == len(prepared.slices)),
            reference=prepared.reference,
            new_names=prepared.new_names,
        )
        yield _Part(event, some.jobs)


def _steps(parts: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    """As many together as have no more jobs than one step creates."""
    step: list[_Part] = []
    jobs = 0
    for part in parts:
        if step and jobs + part.jobs > JOBS_AT_ONCE:
            yield step
            step, jobs = [], 0
        step.append(part)
        jobs += part.jobs
    if step:
        yield step
