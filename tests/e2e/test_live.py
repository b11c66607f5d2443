"""A job followed live through the death of the web process."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from deploy.local.wait import until
from tests.support.event_streams import StreamEvent, WebSocket, subscribe
from tests.support.scenario import Scenario


def test_a_job_is_followed_through_the_death_of_the_web_process(scenario: Scenario) -> None:
    # Given a job that will start soon, and subscribers to it
    job_id = scenario.create_dm(delay_seconds=3)
    path = f"/jobs/{job_id}/live"
    bearer = {"Authorization": str(scenario.api.headers["Authorization"])}
    port = urlsplit(scenario.stack.url).port or 0

    # When the web process is killed before that
    with subscribe(scenario.api, path) as stream, WebSocket(port, path, bearer) as wire:
        events, heard = stream.take(1), wire.take(1)
        scenario.stack.processes["web"].kill()
        with pytest.raises(httpx.TransportError):
            list(stream)
    scenario.stack.start("web")
    until(scenario.stack.ready)

    # Then both resume where they were, to the end
    with (
        subscribe(scenario.api, path, events[-1].id) as stream,
        WebSocket(port, path, {**bearer, "Last-Event-ID": str(heard[-1].id)}) as wire,
    ):
        events += list(stream)
        heard += list(wire)
    assert heard == events
    _assert_is_timeline_of(scenario, job_id, events)


def _assert_is_timeline_of(scenario: Scenario, job_id: str, events: list[StreamEvent]) -> None:
    job = scenario.job(job_id)
    timeline = scenario.api.get(f"/jobs/{job_id}/timeline").json()["items"]
    assert [each.id for each in events] == [str(number + 1) for number in range(len(timeline))]
    assert [each.data["at"] for each in events] == [line["at"] for line in timeline]
    assert events[-1].event == "end"
    assert (events[-1].data["result"], job["status"]) == (job["result"], "succeeded")
