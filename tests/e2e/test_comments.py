"""Comments through real processes: they carry no token, and clocks differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.scenario import Scenario

POST = "3700000000000000001"


@pytest.fixture
def offset(scenario: Scenario, request: pytest.FixtureRequest) -> Iterator[int]:
    """How many seconds Instagram's clock is ahead, for one test."""
    scenario.stack.fake_instagram.shift_clock(request.param)
    yield request.param
    scenario.stack.fake_instagram.shift_clock(0)


def order(scenario: Scenario, **wanted: Any) -> str:
    """Create a comment; return the job's id."""
    return scenario.create_dm(kind="comment", to=None, post=POST, **wanted)


@pytest.mark.parametrize("offset", [-300, -5, 5, 300], indirect=True)
@pytest.mark.parametrize("effect", [{"effect": "drop_after"}, {"effect": "empty_ok"}], ids=str)
def test_a_comment_whose_response_was_lost_is_found_despite_clock_skew(
    scenario: Scenario, offset: int, effect: dict[str, object]
) -> None:
    # Given a comment that is stored while its response is lost
    scenario.stack.fake_instagram.fault("comment", **effect)  # type: ignore[arg-type]
    # When the job has ended
    job = scenario.wait_final(order(scenario), 40)
    # Then the comment was found, not written again
    assert job["status"] == "succeeded", offset
    assert [each["pk"] for each in scenario.comments(scenario.name)] == [
        job["result"]["comment_id"]
    ]
    assert job["attempts"] == 1


@pytest.mark.parametrize("offset", [-300, 300], indirect=True)
def test_a_dm_whose_response_was_lost_is_found_despite_clock_skew(
    scenario: Scenario, offset: int
) -> None:
    scenario.stack.fake_instagram.fault("broadcast_*", "drop_after")
    job = scenario.wait_final(scenario.create_dm(), 40)
    assert job["status"] == "succeeded", offset
    assert [dm["item_id"] for dm in scenario.dms(scenario.name)] == [job["result"]["message_id"]]


def test_another_jobs_comment_does_not_confirm_a_write(scenario: Scenario) -> None:
    # Given one comment, and another job with the same text whose write never arrives
    first = scenario.wait_final(order(scenario))
    scenario.stack.fake_instagram.fault("comment", "drop_before")
    second = scenario.wait_final(order(scenario), 40)
    # Then its comment was written, too
    assert first["status"] == second["status"] == "succeeded"
    reported = [job["result"]["comment_id"] for job in (first, second)]
    assert [each["pk"] for each in scenario.comments(scenario.name)] == reported
    assert second["attempts"] == 2


def test_two_lost_responses_with_one_text_are_told_apart(scenario: Scenario) -> None:
    # Given two jobs with the same text: both comments are stored, both responses lost
    scenario.stack.fake_instagram.fault("comment", "drop_after", times=2)
    jobs = [scenario.wait_final(job_id, 40) for job_id in [order(scenario), order(scenario)]]
    # Then each is credited with its own comment, and nothing is written again
    assert {job["status"] for job in jobs} == {"succeeded"}
    stored = [each["pk"] for each in scenario.comments(scenario.name)]
    assert sorted(job["result"]["comment_id"] for job in jobs) == stored
    assert len(stored) == 2
