"""Following jobs over a WebSocket: the same as server-sent events, a JSON object each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.local.wait import until
from tests.support.event_streams import Refused, Socket, events, listening
from tests.support.ledgers import RESULT, Books
from tests.support.web import API_KEY, OTHER_KEY, Door

JOB: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
BEARER = {"Authorization": f"Bearer {API_KEY}"}


def make(door: Door) -> str:
    job_id: str = door.api.post("/jobs", json=JOB).json()["id"]
    return job_id


def refusal(door: Door, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    with pytest.raises(Refused) as refused:
        Socket(door.port, path, headers)
    return refused.value.status, json.loads(refused.value.body)["error"]


def test_a_job_is_followed_to_its_end_as_with_events(door: Door, books: Books) -> None:
    job_id = make(door)
    path = f"/jobs/{job_id}/live"
    with Socket(door.port, path, BEARER) as wire, events(door.api, path) as stream:
        told = wire.take(1)
        books.finish(books.sending(job_id))
        told += list(wire)
        assert told == list(stream)
    assert wire.code == 1000
    assert [each.id for each in told] == ["1", "2", "3", "4"]
    assert (told[-1].event, told[-1].data["result"]) == ("end", RESULT)


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_cut_socket_goes_on_after_the_last_message(door: Door, books: Books, how: str) -> None:
    job_id = make(door)
    with Socket(door.port, f"/jobs/{job_id}/live", BEARER) as wire:
        told = wire.take(1)
        claim = books.sending(job_id)
        told += wire.take(1)
    books.finish(claim)
    last_id = str(told[-1].id)
    query, header = (
        (f"?after={last_id}", {}) if how == "query" else ("", {"Last-Event-ID": last_id})
    )
    with Socket(door.port, f"/jobs/{job_id}/live{query}", BEARER | header) as wire:
        told += list(wire)
    assert [each.id for each in told] == ["1", "2", "3", "4"]


def test_everything_is_followed_and_resumed(door: Door, books: Books) -> None:
    with Socket(door.port, "/live", BEARER) as wire:
        (ready,) = wire.take(1)
    job_id = make(door)
    with Socket(door.port, f"/live?after={ready.id}", BEARER) as wire:
        told = wire.take(1)
        books.claim(job_id)
        told += wire.take(1)
    assert [each.data["status"] for each in told] == ["queued", "running"]
    assert {each.data["id"] for each in told} == {job_id}


def test_what_a_listener_says_changes_nothing(door: Door, books: Books) -> None:
    job_id = make(door)
    with Socket(door.port, f"/jobs/{job_id}/live", BEARER) as wire:
        told = wire.take(1)
        for number in range(200):
            wire.say(f"hello {number}")
        books.finish(books.sending(job_id))
        told += list(wire)
    assert len(told) == 4


def test_a_listener_who_says_too_much_at_once_is_cut_off(door: Door) -> None:
    with Socket(door.port, "/live", BEARER) as wire:
        wire.take(1)
        wire.say("x" * 5_000)
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
def test_a_socket_without_a_key_is_refused(door: Door, path: str, headers: dict[str, str]) -> None:
    status, error = refusal(door, f"{path}?key={API_KEY}", headers)
    assert (status, error["code"]) == (401, "unauthorized")


def test_every_key_may_listen(door: Door) -> None:
    with Socket(door.port, "/live", {"Authorization": f"bearer {OTHER_KEY}"}) as wire:
        assert wire.take(1)[0].event == "ready"


def test_an_unknown_job_is_not_found_before_anything_is_opened(door: Door) -> None:
    status, error = refusal(door, "/jobs/job_unknown/live", BEARER)
    assert (status, error["code"]) == (404, "unknown_job")
    assert door.contents() == {}


def test_an_id_that_was_never_given_is_refused(door: Door) -> None:
    status, error = refusal(door, f"/jobs/{make(door)}/live?after=soon", BEARER)
    assert (status, error["fields"][0]["field"]) == (422, "after")


def test_too_many_sockets_are_turned_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.live.MAX_SUBSCRIBERS", 0)
    status, error = refusal(door, "/live", BEARER)
    assert (status, error["code"]) == (503, "too_many_listeners")


def test_who_hangs_up_leaves_nothing_behind(door: Door) -> None:
    with Socket(door.port, "/live", BEARER) as wire:
        wire.take(1)
        until(lambda: listening(door.store))
    until(lambda: not listening(door.store))
