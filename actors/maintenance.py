"""The periodic actors' work, done once per schedule however many schedulers there are."""

from __future__ import annotations

from dramatiq.middleware import CurrentMessage

from actors.runtime import Runtime
from service.jobs.event_index import EventIndex
from service.jobs.job_indexes import JobIndexes
from service.jobs.lua.runner import drop_unused
from service.logging.setup import get_logger
from service.people.index import PersonIndex

#: Longer than the clocks or queues of any two schedulers are apart.
LOCK_SECONDS = 3600
#: Jobs and events that one run looks at to list those of older releases: all that a busy
#: installation creates in between, and more, so that after a deploy it catches up. Beyond where it
#: has come, a filter of events compares their records.
MAX_LISTED = 20_000
#: Jobs that one run looks at again: a million in eight hours.
MAX_RECHECKED = 2_000

_log = get_logger(__name__)


async def retention(runtime: Runtime) -> None:
    """Delete records past their retention, and function libraries of releases that are gone."""
    if not await _is_first_run(runtime, "retention"):
        return
    dropped = await runtime.ledger.prune()
    _log.info(
        "pruned expired records",
        records=dropped,
        libraries=await drop_unused(runtime.client),
    )


async def rescue(runtime: Runtime) -> None:
    """Wake work that nothing else would ever wake; finding any points to a defect."""
    if not await _is_first_run(runtime, "sweep"):
        return
    await runtime.accounts.recheck_all("rescue")
    found = await runtime.ledger.rescue_stranded()
    if found:
        first = [f"{stranded.id}: {stranded.problem}" for stranded in found[:10]]
        _log.error("rescued orphaned work", count=len(found), first=first)
    await _list_records(runtime)


async def _list_records(runtime: Runtime) -> None:
    """List what a process of an older release, or with another SECRET_KEY, has not listed."""
    client, script_config = runtime.client, runtime.config.script_config
    persons = await PersonIndex(client, script_config).complete(MAX_LISTED)
    indexes = JobIndexes(client, script_config)
    missing = await indexes.complete(MAX_LISTED) + await indexes.recheck(MAX_RECHECKED)
    events = await EventIndex(client, script_config).complete(MAX_LISTED)
    if persons.listed or missing or events:
        _log.info("listed records", under_persons=persons.listed, in_indexes=missing, events=events)


async def _is_first_run(runtime: Runtime, name: str) -> bool:
    """Whether this message is the first for its scheduled time; one sent by hand always is."""
    message = CurrentMessage.get_current_message()
    scheduled_at = message.options.get("scheduled_at") if message is not None else None
    if scheduled_at is None:
        return True
    key = f"hg:tick:{name}:{scheduled_at}"
    return bool(await runtime.client.set(key, "1", nx=True, ex=LOCK_SECONDS))
