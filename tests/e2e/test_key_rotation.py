"""SECRET_KEY is rotated under running processes: nothing is lost, nothing is held, one device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.doctor import run_command
from tests.support.fleet import post
from tests.support.scenario import Scenario

SHORT = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
NEW = "a new key that has more than thirty-two characters"


@pytest.fixture
def scenario(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Scenario]:
    """A stack of its own, whose processes are restarted with other keys."""
    with Stack(tmp_path_factory.mktemp("rotation"), environ=SHORT) as stack:
        scenario = Scenario(stack, request.node.name)
        scenario.begin()
        yield scenario
        scenario.end()


def _deploy(stack: Stack, secret_key: str) -> None:
    for name in ("web", "worker"):
        stack.processes[name].stop()
        stack.start(name, environ={"SECRET_KEY": secret_key})
    until(stack.ready, 30, "the web process")


def test_the_key_is_rotated_as_the_documentation_says(scenario: Scenario) -> None:
    stack = scenario.stack
    old = stack.environ()["SECRET_KEY"]
    # Given an account with a session, and a DM, an event and a session under the old key
    assert scenario.wait_final(scenario.create_dm())["status"] == "succeeded"
    planned = scenario.create_dm(text="Planned long before", delay_seconds=3600)
    post(scenario, "/pause")
    event = scenario.send("checkout.session.completed").body
    # When the key is rotated, step by step
    _deploy(stack, f"{old},{NEW}")
    waiting = scenario.create_dm(text="Written meanwhile")
    _deploy(stack, f"{NEW},{old}")
    environ = {"SECRET_KEY": f"{NEW},{old}"}
    assert run_command(stack, "secret", "rotate", environ=environ) == 0
    _deploy(stack, NEW)
    # Then the new key reads everything
    assert run_command(stack, "secret", "rotate", environ={"SECRET_KEY": NEW}) == 0
    assert scenario.api.get(f"/events/{event['event_id']}").json()["body"]
    post(scenario, "/resume")
    for job_id in (waiting, *event["jobs"]):
        assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert scenario.job(planned)["status"] == "scheduled"
    # And the account has neither logged in again nor another device
    assert len(stack.fake_instagram.logins()) == 1
    assert len({each["account"] for each in stack.fake_instagram.devices()}) == len(
        stack.fake_instagram.devices()
    )
