"""What is a calendar's business, run once however many schedulers there are."""

from __future__ import annotations

from dramatiq.middleware import CurrentMessage

from actors.runtime import Runtime
from service.jobs.lua.runner import drop_unused
from service.logging.setup import get_logger

#: Longer than any two schedulers' clocks or queues are apart.
LOCK_SECONDS = 3600

_log = get_logger(__name__)


async def retention(runtime: Runtime) -> None:
    """Drop what has been remembered long enough."""
    if not await _is_first_run(runtime, "retention"):
        return
    dropped = await runtime.ledger.prune()
    _log.info("retention", dropped=dropped, libraries=await drop_unused(runtime.client))


async def rescue(runtime: Runtime) -> None:
    """Wake work that nothing would ever wake; finding any is a defect worth a look."""
    if not await _is_first_run(runtime, "sweep"):
        return
    await runtime.accounts.recheck_all("sweep")
    found = await runtime.ledger.rescue_stranded()
    if found:
        shown = [f"{each.id}: {each.problem}" for each in found[:10]]
        _log.error("stranded work was woken", count=len(found), first=shown)


async def _is_first_run(runtime: Runtime, name: str) -> bool:
    """Whether this is the first message for this tick; one sent by hand always is."""
    message = CurrentMessage.get_current_message()
    tick = message.options.get("scheduled_at") if message is not None else None
    if tick is None:
        return True
    key = f"hg:tick:{name}:{tick}"
    return bool(await runtime.client.set(key, "1", nx=True, ex=LOCK_SECONDS))
