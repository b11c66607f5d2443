"""The callback receiver."""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from standardwebhooks import Webhook

from deploy.local.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of so many bytes.").decode()
BODY = '{"type":"job.succeeded","data":{"id":"job_1"}}'


@pytest.fixture(scope="module")
def running_receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as receiver:
        yield receiver


@pytest.fixture
def receiver(running_receiver: Receiver) -> Receiver:
    running_receiver.reset()
    return running_receiver


def signed(secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    when = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", when, BODY),
    }


def post(
    receiver: Receiver, body: str, headers: dict[str, str], timeout: float = 5
) -> tuple[http.client.HTTPResponse, bytes]:
    address = urlsplit(receiver.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)
    try:
        connection.request("POST", address.path, body.encode(), headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_signed_callback_is_verified_and_recorded(receiver: Receiver) -> None:
    response, _ = post(receiver, BODY, signed())

    assert response.status == 204
    (received,) = receiver.received()
    assert (received["verified"], received["reason"]) == (True, None)
    assert received["event"]["type"] == "job.succeeded"
    assert received["headers"]["webhook-id"] == "msg_1"
    assert received["path"] == urlsplit(receiver.url).path


def stale() -> dict[str, str]:
    return signed(at=datetime.now(UTC) - timedelta(minutes=6))


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        pytest.param(BODY.replace("_1", "_2"), signed, "No matching signature", id="body"),
        pytest.param(BODY, lambda: signed(OTHER_SECRET), "No matching signature", id="secret"),
        pytest.param(
            BODY, lambda: {**signed(), "webhook-id": "msg_2"}, "No matching signature", id="id"
        ),
        pytest.param(BODY, stale, "too old", id="stale"),
        pytest.param(BODY, dict, "Missing required headers", id="unsigned"),
        pytest.param(BODY, lambda: {**signed(), "webhook-signature": "junk"}, "", id="junk"),
    ],
)
def test_a_tampered_callback_is_rejected(
    receiver: Receiver, body: str, headers: Callable[[], dict[str, str]], reason: str
) -> None:
    response, _ = post(receiver, body, headers())

    assert response.status == 401
    (received,) = receiver.received()
    assert not received["verified"]
    assert received["reason"]
    assert reason in received["reason"]


def test_during_rotation_either_secret_verifies() -> None:
    with Receiver(SECRET, OTHER_SECRET) as receiver:
        assert post(receiver, BODY, signed(OTHER_SECRET))[0].status == 204
        assert post(receiver, BODY, signed(SECRET))[0].status == 204


def test_scripted_responses_are_used_in_order_and_run_out(receiver: Receiver) -> None:
    receiver.answer(status=503, times=1, headers={"Retry-After": "7"}, body="busy")
    receiver.answer(status=307, times=1, headers={"Location": "http://127.0.0.1:1/"})

    answers = [post(receiver, BODY, signed()) for _ in range(3)]

    assert [response.status for response, _ in answers] == [503, 307, 204]
    assert answers[0][0].headers["Retry-After"] == "7"
    assert answers[0][1] == b"busy"
    assert [entry["status"] for entry in receiver.received()] == [503, 307, 204]


def test_a_response_can_be_delayed_or_sent_slowly(receiver: Receiver) -> None:
    receiver.answer(status=200, times=1, delay_seconds=0.1, drip_seconds=0.2)

    begun = time.monotonic()
    _, body = post(receiver, BODY, signed())

    assert time.monotonic() - begun >= 0.3
    assert len(body) == 20


def test_a_callback_can_be_left_unanswered(receiver: Receiver) -> None:
    receiver.answer(hang=True, times=1)

    with pytest.raises(TimeoutError):
        post(receiver, BODY, signed(), timeout=0.1)

    (received,) = receiver.received()
    assert (received["verified"], received["status"]) == (True, None)
    assert post(receiver, BODY, signed())[0].status == 204


def test_an_invalid_scripted_response_is_rejected(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="explode"):
        receiver.answer(explode=True)


def test_a_receiver_ends_without_errors() -> None:
    receiver = Receiver(SECRET)
    receiver.answer(hang=True, times=1)
    with pytest.raises(TimeoutError):
        post(receiver, BODY, signed(), timeout=0.1)
    assert receiver.close() == 0
    assert receiver.child.stderr() == ""
