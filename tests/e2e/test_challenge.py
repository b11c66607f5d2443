"""Instagram demands a code at login, and a person provides it after a deploy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from deploy.local.instagram.state import SHOP_PASSWORD
from tests.support.scenario import Scenario
from tests.support.store_dump import plain_values

CODE = "719364"


@pytest.fixture
def challenged(scenario: Scenario) -> Iterator[Scenario]:
    """The account's session has expired, and its next login needs a code."""
    scenario.wait_final(scenario.create_dm(text="before"))
    fake_instagram = scenario.stack.fake_instagram
    fake_instagram.add_account("shop", SHOP_PASSWORD, profile_code=CODE)
    fake_instagram.expire_session("shop")
    yield scenario
    fake_instagram.add_account("shop", SHOP_PASSWORD)


def test_an_account_makes_no_calls_until_the_code_comes_and_then_resumes_in_order(
    challenged: Scenario,
) -> None:
    scenario, stack = challenged, challenged.stack
    logins = len(stack.fake_instagram.logins())
    # Given a job that met the challenge, and a second one
    first = scenario.create_dm(text=f"{scenario.name} first")
    scenario.wait_status(first, "held")
    assert scenario.api.get("/accounts/shop").json()["hold"]["reason"] == "challenge_required"
    second = scenario.create_dm(text=f"{scenario.name} second")
    scenario.wait_status(second, "held")
    calls = len(stack.fake_instagram.log())
    # When the worker is replaced, and a third job is created
    assert stack.processes["worker"].stop() == 0
    stack.start("worker")
    third = scenario.create_dm(text=f"{scenario.name} third")
    scenario.wait_status(third, "held")
    # Then no call has been made since
    assert len(stack.fake_instagram.log()) == calls
    assert [each["outcome"] for each in stack.fake_instagram.logins()[logins:]] == [
        "challenge_required"
    ]

    # When the code is posted
    answer = scenario.api.post("/accounts/shop/challenge", json={"code": CODE})
    output = _output(scenario)

    # Then the jobs resume in order, with one more login, from the same device
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    ended = [scenario.wait_final(job_id) for job_id in (first, second, third)]
    assert {job["status"] for job in ended} == {"succeeded"}
    texts = [dm["text"] for dm in scenario.dms(scenario.name)]
    assert texts == [f"{scenario.name} {which}" for which in ("first", "second", "third")]
    outcomes = [each["outcome"] for each in stack.fake_instagram.logins()[logins:]]
    assert outcomes == ["challenge_required", "challenge_required", "ok"]
    assert len(stack.fake_instagram.devices()) == 1
    assert CODE not in output + _output(scenario) + answer.text


def _output(scenario: Scenario) -> str:
    """What the processes have written to their logs and to the store."""
    logs = [log.read_text() for log in scenario.stack.directory.glob("*.log")]
    assert logs
    with redis.Redis.from_url(scenario.stack.redis_url) as store:
        return "\n".join((*logs, plain_values(store)))
