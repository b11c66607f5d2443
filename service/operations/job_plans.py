"""Plans of operations on jobs: which, and what would happen to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from service.jobs.job_filter import JobFilter
from service.jobs.job_finder import JobFinder
from service.jobs.lua.judge_jobs import JobAction, Judgment
from service.jobs.model import Status
from service.operations.model import PROBLEMS
from service.operations.store import MAX_ITEMS, TooMany

#: The statuses of jobs that an action takes where the filter names none. `uncertain` is never among
#: them: whoever retries such a job should have looked at Instagram first.
DEFAULT_STATUSES: Final[Mapping[JobAction, tuple[Status, ...]]] = {
    "cancel": (Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.HELD, Status.RUNNING),
    "retry": (Status.FAILED,),
}


#: Jobs found by one call.
_PAGE: Final = 500


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


def with_default_statuses(job_filter: JobFilter, action: JobAction) -> JobFilter:
    """The filter with the statuses that an action takes, if it names none."""
    if job_filter.statuses:
        return job_filter
    return replace(job_filter, statuses=DEFAULT_STATUSES[action])


async def find_jobs(finder: JobFinder, job_filter: JobFilter) -> list[str]:
    """Find all jobs that match a filter, the newest first.

    Raises:
      TooMany: More than MAX_ITEMS match.
    """
    found: dict[str, None] = {}
    cursor: int | None = None
    while True:
        page = await finder.find(job_filter, cursor=cursor, limit=_PAGE)
        found |= dict.fromkeys(page.ids)
        if len(found) > MAX_ITEMS:
            raise TooMany
        if page.next is None:
            return list(found)
        cursor = page.next
