"""Follower exports on a real stack: started, followed and read over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deploy.local.wait import until
from tests.support.scenario import Scenario

PAGE: Final = 200
FIRST_PK: Final = 70_000_000_000


def follower_pks(start: int, stop: int) -> list[str]:
    """The pks of the fake Instagram's followers from `start` up to `stop`, in order."""
    return [str(FIRST_PK + number) for number in range(start, stop)]


def start_export(scenario: Scenario, username: str, kind: str = "followers", **body: Any) -> str:
    """Start an export; return its job id."""
    answer = scenario.api.post(f"/users/{username}/{kind}", json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def result_rows(scenario: Scenario, job_id: str, **query: Any) -> list[dict[str, Any]]:
    """The rows of an export so far."""
    answer = scenario.api.get(f"/jobs/{job_id}/result", params=query)
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.split("\n") if line]


def result_pks(scenario: Scenario, job_id: str, **query: Any) -> list[str]:
    """The pks of an export's rows so far, in order."""
    return [row["pk"] for row in result_rows(scenario, job_id, **query)]


def wait_rows(scenario: Scenario, job_id: str, users: int, seconds: float = 30) -> dict[str, Any]:
    """The export's job, once it has at least `users` rows."""

    def there() -> dict[str, Any] | None:
        job = scenario.job(job_id)
        return job if job["progress"]["users"] >= users else None

    return until(there, seconds, f"{users} users of {job_id}")


def page_calls(scenario: Scenario, since: int = 0) -> int:
    """How many pages were requested of the fake Instagram."""
    return len(scenario.stack.fake_instagram.log(call="followers", since=since))


def last_call(scenario: Scenario) -> int:
    """The sequence number of the fake Instagram's last request."""
    calls = scenario.stack.fake_instagram.log()
    return calls[-1]["seq"] if calls else 0


def page(
    numbers: Sequence[int], cursor: str | None, extra: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """A page in Instagram's format, of some of the fake Instagram's followers.

    Parameters:
      numbers: The followers on it.
      cursor: The next page's cursor; None at the end.
      extra: More users, verbatim.
    """
    users: list[Mapping[str, Any]] = [
        {"pk": FIRST_PK + number, "username": f"follower.{number:07d}", "full_name": ""}
        for number in numbers
    ]
    more = {} if cursor is None else {"next_max_id": cursor}
    return {"status": "ok", "users": [*users, *extra], **more}
