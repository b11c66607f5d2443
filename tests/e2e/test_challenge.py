"""Instagram asks whether it is really you, and a person answers hours and deploys later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from deploy.local.instagram.state import SHOP_PASSWORD
from tests.support.journey import Journey
from tests.support.values import plain_values

CODE = "719364"


@pytest.fixture
def challenged(journey: Journey) -> Iterator[Journey]:
    """The account's session is over, and its next login needs the code."""
    journey.ended(journey.order(text="before"))
    fake_instagram = journey.stack.fake_instagram
    fake_instagram.add_account("shop", SHOP_PASSWORD, profile_code=CODE)
    fake_instagram.expire_session("shop")
    yield journey
    fake_instagram.add_account("shop", SHOP_PASSWORD)


def test_an_account_is_silent_until_the_code_comes_and_its_jobs_go_on_in_order(
    challenged: Journey,
) -> None:
    journey, stack = challenged, challenged.stack
    logins = len(stack.fake_instagram.logins())
    # Given a job that met the challenge, and a second one
    first = journey.order(text=f"{journey.name} first")
    journey.becomes(first, "held")
    assert journey.api.get("/accounts/shop").json()["hold"]["reason"] == "challenge_required"
    second = journey.order(text=f"{journey.name} second")
    journey.becomes(second, "held")
    calls = len(stack.fake_instagram.log())
    # When the worker is replaced, and a third one comes
    assert stack.processes["worker"].stop() == 0
    stack.start("worker")
    third = journey.order(text=f"{journey.name} third")
    journey.becomes(third, "held")
    # Then Instagram has heard nothing since
    assert len(stack.fake_instagram.log()) == calls
    assert [each["outcome"] for each in stack.fake_instagram.logins()[logins:]] == [
        "challenge_required"
    ]

    # When the code comes
    answer = journey.api.post("/accounts/shop/challenge", json={"code": CODE})
    said = _said(journey)

    # Then the jobs go on in their order, with one login more, from the same device
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    ended = [journey.ended(job_id) for job_id in (first, second, third)]
    assert {job["status"] for job in ended} == {"succeeded"}
    texts = [dm["text"] for dm in journey.dms(journey.name)]
    assert texts == [f"{journey.name} {which}" for which in ("first", "second", "third")]
    outcomes = [each["outcome"] for each in stack.fake_instagram.logins()[logins:]]
    assert outcomes == ["challenge_required", "challenge_required", "ok"]
    assert len(stack.fake_instagram.devices()) == 1
    assert CODE not in said + _said(journey) + answer.text


def _said(journey: Journey) -> str:
    """What the processes have written, in their logs and in the store."""
    logs = [log.read_text() for log in journey.stack.directory.glob("*.log")]
    assert logs
    with redis.Redis.from_url(journey.stack.redis_url) as store:
        return "\n".join((*logs, plain_values(store)))
