"""Deploys of another release: either one takes over what the other left, and both work at once."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pytest
import redis

from deploy.local.procfile import ROOT
from deploy.local.stack import CONFIG, Stack
from deploy.local.wait import until
from tests.support.doctor import run_command, run_doctor
from tests.support.fleet import create_job, own_scenario, post, run_fleet, wait_kept
from tests.support.follower_exports import follower_pks, result_pks, start_export, wait_rows
from tests.support.scenario import Scenario

#: The release before this one.
PREVIOUS: Final = "2cba82d"
#: More than a few pages, so that an export is stopped half way.
FOLLOWERS: Final = 1_000
#: With this, a release writes what the one before can read.
PLAIN: Final = {"ENCRYPT_AT_REST": "off"}
_GAP: Final = {"gap_seconds": [6, 6], "per_hour": 1_000, "per_day": 1_000}
#: One account for each state that a job is left in; `paced` has to wait between two DMs.
ACCOUNTS: Final[dict[str, dict[str, Any]]] = {
    **{name: {} for name in ("plain", "called", "paused", "planned", "lost")},
    "paced": {"pacing": {"dm": _GAP}},
    "exporter": {"role": "read"},
}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source trees: this one, and the previous release's from the repository's history."""
    archive = subprocess.run(
        ["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.fail(
            f"the previous release {PREVIOUS} is not in the history (a shallow clone?): "
            f"git fetch --unshallow; git says: {archive.stderr.decode().strip()}"
        )
    tree = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tree, filter="data")
    return {"this": ROOT, "previous": tree}


@pytest.fixture(scope="module")
def stack(releases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Store, fake Instagram and receiver; the tests start the processes.

    The configuration is the previous release's, which has no key that only this one knows.
    """
    base = releases["previous"] / CONFIG.relative_to(ROOT)
    directory = tmp_path_factory.mktemp("releases")
    with run_fleet(directory, ACCOUNTS, processes=(), base=base) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """A test's own events and jobs."""
    with own_scenario(stack, request.node.name) as scenario:
        yield scenario
        for process in stack.processes.values():
            process.stop()


@pytest.mark.parametrize(("first", "second"), [("previous", "this"), ("this", "previous")])
def test_a_release_finishes_what_another_left_in_every_state(
    scenario: Scenario, releases: dict[str, Path], first: str, second: str
) -> None:
    # Given a job in every state, left by one release
    _start(scenario.stack, web=releases[first], worker=releases[first])
    jobs, export = _leave_work(scenario)
    # And, where that is to be rolled back, nothing of them is encrypted any more
    if first == "this":
        until(lambda: _decrypt_all(scenario.stack), 30, "the end of the killed worker's lease")
    # When the other one takes its place
    _start(scenario.stack, web=releases[second], worker=releases[second])
    post(scenario, "/accounts/paused/resume")
    # Then every job makes one DM and one callback, and the export has every follower once
    _assert_done_once(scenario, jobs)
    assert scenario.wait_final(export)["status"] == "succeeded"
    assert result_pks(scenario, export) == follower_pks(0, FOLLOWERS)
    assert len(_delivered(scenario, export)) == 1
    assert scenario.stack.fake_instagram.overlaps() == []
    # And the doctor finds nothing
    assert run_doctor(scenario.stack) == 0


@pytest.mark.parametrize(("web", "worker"), [("previous", "this"), ("this", "previous")])
def test_two_releases_at_once_serve_one_store(
    scenario: Scenario, releases: dict[str, Path], web: str, worker: str
) -> None:
    # Given the web process of one release and the worker of another, with nothing encrypted that
    # the other could not read
    _start(scenario.stack, web=releases[web], worker=releases[worker], environ=PLAIN)
    # When events, orders and lookups come in
    event_jobs = scenario.send("checkout.session.completed").body["jobs"]
    jobs = {name: _order(scenario, name) for name in ("plain", "planned")}
    user = f"u{abs(hash(scenario.name)) % 10**9}"
    assert scenario.api.get(f"/users/{user}", params={"wait": 20}).status_code == 200
    # Then they end as with one release
    _assert_done_once(scenario, jobs)
    assert [scenario.wait_final(job)["status"] for job in event_jobs] == ["succeeded"]
    assert len(scenario.wait_callbacks(event_jobs[0])) == 1
    assert run_doctor(scenario.stack) == 0


def test_the_previous_release_leaves_encrypted_jobs_to_this_one(
    scenario: Scenario, releases: dict[str, Path]
) -> None:
    stack = scenario.stack
    # Given this release's web process, and a worker of the previous one
    _start(stack, web=releases["this"], worker=releases["previous"])
    previous_worker = list(stack.processes.values())[-1]
    refused, dms = _claims_refused(stack), stack.fake_instagram.dms()
    # When it is woken for encrypted jobs
    accepted = scenario.send("checkout.session.completed").body
    jobs = {"plain": _order(scenario, "plain")}
    planned = _order(scenario, "planned", delay_seconds=3600, metadata={"order": "42"})
    until(lambda: _claims_refused(stack) >= refused + 2, 30, "its claims")
    # Then it sends nothing
    assert stack.fake_instagram.dms() == dms
    assert scenario.job(jobs["plain"])["status"] in ("queued", "waiting")
    # And its web process shows them, says that the body is gone, and cancels
    stack.processes["web"].stop()
    stack.start("web", root=releases["previous"])
    until(stack.ready, 30, "the web process")
    event = f"/events/{accepted['event_id']}"
    assert scenario.api.get(event).raise_for_status().json()["body"] is None
    replay = scenario.api.post(f"{event}/replay")
    assert (replay.status_code, replay.json()["error"]["code"]) == (409, "body_gone")
    post(scenario, f"/jobs/{planned}/cancel")
    callback = scenario.wait_callbacks(planned)[0]
    assert json.loads(callback["body"])["data"]["metadata"] == {"order": "42"}
    # And this release's worker does every other job once
    previous_worker.stop()
    stack.start("worker", "worker-of-this", root=releases["this"])
    _assert_done_once(scenario, jobs)
    assert [scenario.wait_final(job)["status"] for job in accepted["jobs"]] == ["succeeded"]
    assert run_doctor(stack) == 0


def _claims_refused(stack: Stack) -> int:
    """How many claims of jobs were not granted."""
    with redis.Redis.from_url(stack.redis_url) as store:
        return int(cast("bytes | None", store.hget("hg:counters", "claim:job:none")) or 0)


def _decrypt_all(stack: Stack) -> bool:
    """Prepare a roll-back as the documentation says; whether nothing is left to do."""
    return run_command(stack, "secret", "rotate", environ=PLAIN) == 0


def _start(
    stack: Stack, *, web: Path, worker: Path, environ: Mapping[str, str] | None = None
) -> None:
    stack.start("web", root=web, environ=environ)
    label = f"worker-{len(stack.processes)}"
    process = stack.start("worker", label, root=worker, environ=environ)
    until(stack.ready, 30, "the web process")
    until(lambda: "ready for action" in process.log.read_text(), 30, "the worker")


def _leave_work(scenario: Scenario) -> tuple[dict[str, str], str]:
    """Bring jobs into every state and end the processes; the jobs by account, and an export."""
    stack, fake = scenario.stack, scenario.stack.fake_instagram
    worker = next(p for name, p in reversed(stack.processes.items()) if name != "web")
    # A callback whose endpoint is not there just now
    stack.receiver.answer(status=503, times=1)
    jobs = {"called": _order(scenario, "called")}
    scenario.wait_callbacks(jobs["called"])
    # Held, scheduled, and waiting for the end of a gap
    post(scenario, "/accounts/paused/pause")
    jobs["paused"] = _order(scenario, "paused")
    scenario.wait_status(jobs["paused"], "held")
    jobs["planned"] = _order(scenario, "planned", delay_seconds=8)
    scenario.wait_final(create_job(scenario, "paced", text="before the gap"))
    jobs["paced"] = _order(scenario, "paced")
    wait_kept(scenario, jobs["paced"], "waiting", "dm_gap")
    # An export half way
    fake.add_user("star", followers=FOLLOWERS)
    fake.fault("followers", times=None, delay_seconds=0.5)
    export = start_export(scenario, "star", account="exporter", callback="crm")
    wait_rows(scenario, export, 200)
    # A DM that is stored and whose answer never comes; and one that no worker takes any more
    fake.fault("broadcast_*", account="lost", delay_after_effect_seconds=60)
    jobs["lost"] = _order(scenario, "lost")
    until(lambda: scenario.dms(_text(scenario, "lost")), 20, "the DM")
    worker.signal(signal.SIGKILL, group=True)
    worker.wait()
    assert scenario.job(jobs["lost"])["status"] == "sending"
    assert scenario.job(export)["status"] != "succeeded"
    jobs["plain"] = _order(scenario, "plain")
    stack.processes["web"].stop()
    fake.clear_faults()
    return jobs, export


def _order(scenario: Scenario, account: str, **wanted: Any) -> str:
    return create_job(scenario, account, text=_text(scenario, account), **wanted)


def _text(scenario: Scenario, account: str) -> str:
    return f"{scenario.name} from {account}"


def _assert_done_once(scenario: Scenario, jobs: dict[str, str]) -> None:
    for account, job_id in jobs.items():
        assert scenario.wait_final(job_id)["status"] == "succeeded", account
        until(lambda: _delivered(scenario, job_id), 30, f"the callback of {account}")  # noqa: B023
        assert len(_delivered(scenario, job_id)) == 1, account
        assert len(scenario.dms(_text(scenario, account))) == 1, account


def _delivered(scenario: Scenario, job_id: str) -> list[str]:
    """The ids of the callbacks about a job that were answered with success."""
    return [
        each["headers"]["webhook-id"]
        for each in scenario.callbacks(job_id)
        if each["status"] in range(200, 300)
    ]
