"""Stacks with several accounts, to show that one account's trouble leaves the others alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.local.stack import CONFIG, Stack
from deploy.local.wait import until
from tests.support.config_file import usual_config, write_config
from tests.support.scenario import Scenario

PASSWORD: Final = "fleet-password"
POST: Final = "3700000000000000001"
#: The fake Instagram's name of each kind's write.
WRITES: Final[Mapping[str, str]] = {"dm": "broadcast_text", "comment": "comment"}
NO_LIMIT: Final[Mapping[str, Any]] = {
    "gap_seconds": [0, 0],
    "per_hour": 1_000_000,
    "per_day": 1_000_000,
}
NO_LIMITS: Final[Mapping[str, Any]] = {
    "i_accept_the_risk": True,
    "repeat_days": 0,
    **dict.fromkeys(("dm", "dm_new_thread", "comment", "lookup"), NO_LIMIT),
}
#: Short, so that jobs of a killed worker resume within seconds.
SHORT_LEASES: Final[Mapping[str, str]] = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}


@contextmanager
def run_fleet(
    directory: Path,
    accounts: Mapping[str, Mapping[str, Any]],
    *,
    pacing: Mapping[str, Any] = NO_LIMITS,
    processes: Sequence[str] = ("web", "worker"),
    environ: Mapping[str, str] | None = None,
    base: Path = CONFIG,
) -> Iterator[Stack]:
    """Run a stack with accounts beside `shop`; their names are their usernames.

    Parameters:
      directory: For logs, configuration and data.
      accounts: Keys of each one's table besides username, password and proxy.
      pacing: The `[pacing]` table.
      processes: The Procfile's processes to start.
      environ: More environment variables for them.
      base: The heliograph.toml that the accounts are added to.
    """
    own = {name: {"password": PASSWORD, **changes} for name, changes in accounts.items()}
    document = usual_config(accounts=own, pacing=pacing, base=base)
    config = write_config(directory / "heliograph.toml", document)
    variables = {**SHORT_LEASES, **(environ or {})}
    with Stack(directory / "stack", config=config, processes=processes, environ=variables) as stack:
        for name in accounts:
            stack.fake_instagram.add_account(name, PASSWORD)
        if "worker" in processes:
            until(lambda: _is_ready(stack), 30, "the worker")
        yield stack


def _is_ready(stack: Stack) -> bool:
    worker = stack.processes["worker"]
    log = worker.log.read_text()
    if worker.returncode is not None:
        raise RuntimeError(f"the worker exited: {log[-2000:]}")
    return "ready for action" in log


@contextmanager
def own_scenario(stack: Stack, name: str) -> Iterator[Scenario]:
    """A test's scenario on such a stack; its faults are cleared at the end."""
    scenario = Scenario(stack, f"{name}-{os.urandom(4).hex()}")
    try:
        yield scenario
    finally:
        stack.fake_instagram.clear_faults()
        stack.receiver.clear_answers()
        scenario.api.close()


def create_job(scenario: Scenario, account: str, kind: str = "dm", **wanted: Any) -> str:
    """Create a DM or comment of an account; return the job's id."""
    target = {"to": "some.handle"} if kind == "dm" else {"to": None, "post": POST}
    return scenario.create_dm(account=account, kind=kind, **{**target, **wanted})


def wait_kept(scenario: Scenario, job_id: str, status: str, reason: str) -> dict[str, Any]:
    """The job, once it has the status and waits for that reason."""

    def there() -> dict[str, Any] | None:
        job = scenario.job(job_id)
        wait = job["wait"] or {}
        return job if (job["status"], wait.get("reason")) == (status, reason) else None

    return until(there, 30, f"{status} for {reason} of {job_id}")


def account_of(scenario: Scenario, name: str) -> dict[str, Any]:
    """The account as the API shows it."""
    shown: dict[str, Any] = scenario.api.get(f"/accounts/{name}").raise_for_status().json()
    return shown


def post(scenario: Scenario, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Post to the API; return the JSON response."""
    answer: dict[str, Any] = scenario.api.post(path, json=body).raise_for_status().json()
    return answer


def call_count(scenario: Scenario, account: str) -> int:
    """How many requests of an account the fake Instagram has logged."""
    return len(scenario.stack.fake_instagram.log(account=account))


def written_texts(scenario: Scenario, account: str) -> list[str]:
    """The texts that an account has written, in the order of its writes."""
    fake_instagram = scenario.stack.fake_instagram
    texts = {
        WRITES["dm"]: iter([dm["text"] for dm in fake_instagram.dms() if dm["sender"] == account]),
        WRITES["comment"]: iter(
            [each["text"] for each in fake_instagram.comments() if each["username"] == account]
        ),
    }
    # Comments are dated to the second, so their order is taken from the log.
    calls = fake_instagram.log(account=account)
    stored = (each for each in calls if not each["fault"] or each["outcome"] == "dropped_after")
    return [next(texts[call["call"]]) for call in stored if call["call"] in texts]


def seconds_between(earlier: str, later: str) -> float:
    """The seconds between two times of the API."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
