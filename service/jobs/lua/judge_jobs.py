from __future__ import annotations

from typing import Literal, NamedTuple

from service.jobs.lua.call import ScriptCall

JobAction = Literal["cancel", "retry"]


class Judgment(NamedTuple):
    """What an action would do to a job now.

    Parameters:
      account: The job's account; empty if there is no such job.
      outcome: How it would end; see `outcome_of` in lib/job_actions.lua.
    """

    account: str
    outcome: str


def judge_jobs(action: JobAction, *ids: str) -> ScriptCall[list[Judgment]]:
    """Tell what an action would do to jobs (judge_jobs.lua)."""
    return ScriptCall("judge_jobs", (action, *ids), _judgments)


def _judgments(reply: list[list[bytes]]) -> list[Judgment]:
    return [Judgment(*map(bytes.decode, each)) for each in reply]
