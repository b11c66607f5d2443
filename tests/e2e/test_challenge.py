"""Instagram asks whether it is really you, and a person answers hours and deploys later."""

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
    """The account's session is over, and its next login needs the code."""
    scenario.wait_final(scenario.create_dm(text="before"))
    fake_instagram = scenario.stack.fake_instagram
    fake_instagram.add_account("shop", SHOP_PASSWORD, profile_code=CODE)
    fake_instagram.expire_session("shop")
    yield scenario
    fake_instagram.add_account("shop", SHOP_PASSWORD)


def test_an_account_is_silent_until_the_code_comes_and_its_jobs_go_on_in_order(
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
    # When the worker is replaced, and a third one comes
    assert stack.processes["worker"].stop() == 0
    stack.start("worker")
    third = scenario.create_dm(text=f"{scenario.name} third")
    scenario.wait_status(third, "held")
    # Then Instagram has heard nothing since
    assert len(stack.fake_instagram.log()) == calls
    assert [each["outcome"] for each in stack.fake_instagram.logins()[logins:]] == [
        "challenge_required"
    ]

    # When the code comes
    answer = scenario.api.post("/accounts/shop/challenge", json={"code": CODE})
    said = _said(scenario)

    # Then the jobs go on in their order, with one login more, from the same device
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    ended = [scenario.wait_final(job_id) for job_id in (first, second, third)]
    assert {job["status"] for job in ended} == {"succeeded"}
    texts = [dm["text"] for dm in scenario.dms(scenario.name)]
    assert texts == [f"{scenario.name} {which}" for which in ("first", "second", "third")]
    outcomes = [each["outcome"] for each in stack.fake_instagram.logins()[logins:]]
    assert outcomes == ["challenge_required", "challenge_required", "ok"]
    assert len(stack.fake_instagram.devices()) == 1
    assert CODE not in said + _said(scenario) + answer.text


def _said(scenario: Scenario) -> str:
    """What the processes have written, in their logs and in the store."""
    logs = [log.read_text() for log in scenario.stack.directory.glob("*.log")]
    assert logs
    with redis.Redis.from_url(scenario.stack.redis_url) as store:
        return "\n".join((*logs, plain_values(store)))
