"""Finds unfinished work that nothing would ever wake."""

from __future__ import annotations

from typing import Final

from service.jobs.consistency_problems import Defect
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.runner import Scripts
from service.jobs.model import FINAL, Status

#: Entries that one script call checks, and all calls of one run.
RESCUE_BATCH: Final = 100
RESCUE_LIMIT: Final = 10_000

#: The indexes that are checked: every status that is not final, the least urgent last.
UNFINISHED: Final = (
    *(f"hg:jobs:status:{status}" for status in Status if status not in {*FINAL, Status.SCHEDULED}),
    "hg:dlvs:status:pending",
    "hg:dlvs:status:delivering",
    f"hg:jobs:status:{Status.SCHEDULED}",
)
#: The same as arguments of `check_consistency`.
UNFINISHED_INDEXES: Final = tuple(("index", index) for index in UNFINISHED)


async def rescue_stranded(scripts: Scripts, limit: int = RESCUE_LIMIT) -> list[Defect]:
    """Find such work, and schedule its wake-up.

    A run continues where the previous one stopped, and ends after the last index or when it has
    checked `limit` entries. Everything that it finds points to a bug or to lost data.
    """
    found: list[Defect] = []
    left, done = limit, False
    while left > 0 and not done:
        call = check_consistency("rescue", min(left, RESCUE_BATCH), *UNFINISHED_INDEXES)
        reply = await scripts.run(call)
        left, done = left - reply.checked, reply.done
        found += reply.problems
    return found
