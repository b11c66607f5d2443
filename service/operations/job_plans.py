"""Plans of operations on jobs: which, and what would happen to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.jobs.lua.judge_jobs import JobAction, Judgment
from service.jobs.model import Status
from service.jobs.queries import JobFilter, JobQueries
from service.operations.model import PROBLEMS
from service.operations.store import MAX_ITEMS

#: The statuses of jobs that an action takes where the filter names none. `uncertain` is never among
#: them: whoever retries such a job should have looked at Instagram first.
DEFAULT_STATUSES: Final[Mapping[JobAction, tuple[Status, ...]]] = {
    "cancel": (Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD, Status.RUNNING),
    "retry": (Status.FAILED,),
}


class TooMany(Exception):
    """More jobs or events match than one operation takes."""


@dataclass(frozen=True)
class JobPlan:
    """What an operation on jobs would do now.

    Parameters:
      ids: The jobs.
      accounts: How many of them each account has.
      outcomes: How many would end how.
    """

    ids: Sequence[str]
    accounts: Mapping[str, int]
    outcomes: Mapping[str, int]

    @classmethod
    def of(cls, ids: Sequence[str], judgments: Sequence[Judgment]) -> JobPlan:
        """Count what an action would do to jobs; those that are gone by now are left out."""
        found = [
            (job_id, judgment)
            for job_id, judgment in zip(ids, judgments, strict=True)
            if judgment.account
        ]
        return cls(
            ids=[job_id for job_id, _ in found],
            accounts=dict(sorted(Counter(each.account for _, each in found).items())),
            outcomes=dict(Counter(each.outcome for _, each in found).most_common()),
        )

    @property
    def is_useful(self) -> bool:
        """Whether it would change anything."""
        return any(outcome not in PROBLEMS for outcome in self.outcomes)

    def problems(self) -> list[dict[str, Any]]:
        """Why some jobs would be left as they are, and what to do about them."""
        return [
            {"outcome": outcome, "count": count, "message": PROBLEMS[outcome]}
            for outcome, count in self.outcomes.items()
            if outcome in PROBLEMS
        ]


async def select_jobs(queries: JobQueries, filters: Sequence[JobFilter]) -> list[str]:
    """Find the jobs that match any of the filters, the newest first.

    Raises:
      TooMany: More than MAX_ITEMS match.
    """
    found: dict[str, None] = {}
    for job_filter in filters:
        cursor: int | None = None
        while True:
            page = await queries.jobs(job_filter, cursor=cursor, limit=200)
            found |= dict.fromkeys(job["id"] for job in page.items)
            if len(found) > MAX_ITEMS:
                raise TooMany
            if page.next is None:
                break
            cursor = page.next
    return list(found)
