"""An attempt that hangs is cut by its time limit, and the work continues."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.e2e.conftest import SHORT
from tests.support.in_process_worker import in_process_worker
from tests.support.scenario import Scenario


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """A test's jobs on a stack without a worker."""
    with Stack(tmp_path, processes=("web",), environ=SHORT) as stack:
        scenario = Scenario(stack, "late")
        yield scenario
        scenario.api.close()


def test_a_job_whose_attempt_hangs_is_resumed_and_written_once(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.time_limit.TIME_LIMIT_MS", 3_000)
    scenario.stack.fake_instagram.fault("broadcast_text", "hang")
    with in_process_worker(scenario.stack):
        job = scenario.wait_final(scenario.create_dm(), 60)
    # It was canceled during its write: looked up, not found, and sent again
    assert job["status"] == "succeeded"
    whys = [each["why"] for each in scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]]
    assert "interrupted" in whys
    assert len(scenario.dms()) == 1


def test_a_callback_whose_attempt_hangs_is_retried(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.registry.DELIVERY_LIMIT_MS", 1_000)
    scenario.stack.receiver.answer(hang=True, times=1)
    with in_process_worker(scenario.stack):
        job = scenario.wait_final(scenario.create_dm(), 60)
        answered = until(
            lambda: [each for each in scenario.callbacks(job["id"]) if each["status"] == 204], 10
        )
    assert len(answered) == 1
    assert len(scenario.callbacks(job["id"])) == 2
