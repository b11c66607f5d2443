"""Following jobs over a WebSocket: the same updates as server-sent events, as JSON objects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.local.wait import until
from tests.support.event_streams import WebSocket, WebSocketRejected, feed_readers, subscribe
from tests.support.ledger import RESULT, LedgerHarness
from tests.support.web import API_KEY, OTHER_KEY, WebHarness

JOB: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
BEARER = {"Authorization": f"Bearer {API_KEY}"}


def make(web: WebHarness) -> str:
    job_id: str = web.api.post("/jobs", json=JOB).json()["id"]
    return job_id


def rejection(web: WebHarness, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    with pytest.raises(WebSocketRejected) as response:
        WebSocket(web.port, path, headers)
    return response.value.status, json.loads(response.value.body)["error"]


def test_a_job_is_followed_to_its_end(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    path = f"/jobs/{job_id}/live"
    with WebSocket(web.port, path, BEARER) as wire, subscribe(web.api, path) as stream:
        received = wire.take(1)
        ledger.finish(ledger.claim_and_send(job_id))
        received += list(wire)
        assert received == list(stream)
    assert wire.code == 1000
    assert [each.id for each in received] == ["1", "2", "3", "4"]
    assert (received[-1].event, received[-1].data["result"]) == ("end", RESULT)


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_socket_resumes_after_the_last_message(
    web: WebHarness, ledger: LedgerHarness, how: str
) -> None:
    job_id = make(web)
    with WebSocket(web.port, f"/jobs/{job_id}/live", BEARER) as wire:
        received = wire.take(1)
        claim = ledger.claim_and_send(job_id)
        received += wire.take(1)
    ledger.finish(claim)
    last_id = str(received[-1].id)
    query, header = (
        (f"?after={last_id}", {}) if how == "query" else ("", {"Last-Event-ID": last_id})
    )
    with WebSocket(web.port, f"/jobs/{job_id}/live{query}", BEARER | header) as wire:
        received += list(wire)
    assert [each.id for each in received] == ["1", "2", "3", "4"]


def test_all_jobs_are_followed_and_resumed(web: WebHarness, ledger: LedgerHarness) -> None:
    with WebSocket(web.port, "/live", BEARER) as wire:
        (ready,) = wire.take(1)
    job_id = make(web)
    with WebSocket(web.port, f"/live?after={ready.id}", BEARER) as wire:
        received = wire.take(1)
        ledger.claim(job_id)
        received += wire.take(1)
    assert [each.data["status"] for each in received] == ["queued", "running"]
    assert {each.data["id"] for each in received} == {job_id}


def test_messages_from_the_client_are_ignored(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    with WebSocket(web.port, f"/jobs/{job_id}/live", BEARER) as wire:
        received = wire.take(1)
        for number in range(200):
            wire.send_text(f"hello {number}")
        ledger.finish(ledger.claim_and_send(job_id))
        received += list(wire)
    assert len(received) == 4


def test_a_client_that_sends_a_large_message_is_disconnected(web: WebHarness) -> None:
    with WebSocket(web.port, "/live", BEARER) as wire:
        wire.take(1)
        wire.send_text("x" * 5_000)
        assert list(wire) == []
    assert wire.code == 1009


@pytest.mark.parametrize("path", ["/live", "/jobs/job_unknown/live"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {API_KEY}x"},
        {"Authorization": f"Basic {API_KEY}"},
        {"Authorization": API_KEY},
        {"Sec-WebSocket-Protocol": f"bearer.{API_KEY}"},
    ],
)
def test_a_socket_requires_a_key(web: WebHarness, path: str, headers: dict[str, str]) -> None:
    status, error = rejection(web, f"{path}?key={API_KEY}", headers)
    assert (status, error["code"]) == (401, "unauthorized")


def test_every_key_may_subscribe(web: WebHarness) -> None:
    with WebSocket(web.port, "/live", {"Authorization": f"bearer {OTHER_KEY}"}) as wire:
        assert wire.take(1)[0].event == "ready"


def test_an_unknown_job_is_rejected_before_the_socket_is_accepted(web: WebHarness) -> None:
    status, error = rejection(web, "/jobs/job_unknown/live", BEARER)
    assert (status, error["code"]) == (404, "unknown_job")
    assert web.contents() == {}


def test_an_invalid_event_id_is_rejected(web: WebHarness) -> None:
    status, error = rejection(web, f"/jobs/{make(web)}/live?after=soon", BEARER)
    assert (status, error["fields"][0]["field"]) == (422, "after")


def test_too_many_sockets_are_rejected(web: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.live.MAX_SUBSCRIBERS", 0)
    status, error = rejection(web, "/live", BEARER)
    assert (status, error["code"]) == (503, "too_many_subscribers")


def test_a_closed_socket_is_unsubscribed(web: WebHarness) -> None:
    with WebSocket(web.port, "/live", BEARER) as wire:
        wire.take(1)
        until(lambda: feed_readers(web.store))
    until(lambda: not feed_readers(web.store))
