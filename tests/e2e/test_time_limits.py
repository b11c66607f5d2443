"""What hangs for ever is cut by its time limit, and its work goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.e2e.conftest import SHORT
from tests.support.journey import Journey
from tests.support.whole_workers import whole_worker


@pytest.fixture
def trip(tmp_path: Path) -> Iterator[Journey]:
    """A way through a stack without a worker of its own."""
    with Stack(tmp_path, processes=("web",), environ=SHORT) as stack:
        journey = Journey(stack, "late")
        yield journey
        journey.api.close()


def test_a_job_whose_attempt_hangs_is_taken_up_again_and_written_once(
    trip: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.time_limit.TIME_LIMIT_MS", 3_000)
    trip.stack.fake_instagram.fault("broadcast_text", "hang")
    with whole_worker(trip.stack):
        job = trip.ended(trip.order(), 60)
    # It was canceled in the middle of its write: looked for, not found, and sent again
    assert job["status"] == "succeeded"
    whys = [each["why"] for each in trip.api.get(f"/jobs/{job['id']}/timeline").json()["items"]]
    assert "handed back" in whys
    assert len(trip.dms()) == 1


def test_a_callback_whose_attempt_hangs_is_taken_up_again(
    trip: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.registry.DELIVERY_LIMIT_MS", 1_000)
    trip.stack.receiver.answer(hang=True, times=1)
    with whole_worker(trip.stack):
        job = trip.ended(trip.order(), 60)
        answered = until(
            lambda: [each for each in trip.callbacks(job["id"]) if each["status"] == 204], 10
        )
    assert len(answered) == 1
    assert len(trip.callbacks(job["id"])) == 2
