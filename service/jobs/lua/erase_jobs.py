from __future__ import annotations

from typing import Literal, NamedTuple

from service.jobs.lua.call import ScriptCall

EraseReply = Literal["erased", "busy", "changed", "newer", "none"]


class ErasableJob(NamedTuple):
    """A job as its record names its person, with the keys of these names ('' for none).

    Parameters:
      new_names: JSON: the names that list_plain_names.lua lists, each with that of its tombstone.
    """

    id: str
    to: str
    pk: str
    to_key: str
    pk_key: str
    new_names: str


def erase_jobs(by: str, *jobs: ErasableJob) -> ScriptCall[list[EraseReply]]:
    """Erase what some jobs say about persons (erase_jobs.lua); one reply for each."""
    arguments = (by, *(argument for job in jobs for argument in job))
    return ScriptCall("erase_jobs", arguments, _outcomes)


def _outcomes(replies: list[bytes]) -> list[EraseReply]:
    return [reply.decode() for reply in replies]  # type: ignore[misc]
