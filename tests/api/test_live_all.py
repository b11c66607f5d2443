"""Following all jobs: one stream, from now on or from a position on, and slow subscribers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.wait import until
from service.live.event_stream import STREAM_KEY
from tests.support.event_streams import StreamEvent, feed_readers, subscribe
from tests.support.ledger import RESULT, LedgerHarness
from tests.support.web import WebHarness, connect, run_web

JOB: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
STEPS = ["queued", "running", "sending", "succeeded"]


def make(web: WebHarness, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json={**JOB, **changes}).json()["id"]
    return job_id


def statuses(received: list[StreamEvent]) -> list[str]:
    return [each.data["status"] for each in received]


def test_all_jobs_are_followed_from_now_on(web: WebHarness, ledger: LedgerHarness) -> None:
    make(web, account="shop")
    with subscribe(web.api, "/live") as stream:
        (ready,) = stream.take(1)
        first, second = make(web), make(web, to="@another")
        ledger.finish(ledger.claim_and_send(web.store.get("hg:acct:shop:turn").decode()))  # type: ignore[union-attr]
        received = stream.take(6)
    assert ready.event == "ready"
    assert {first, second} < {each.data["id"] for each in received}
    assert len({each.id for each in received}) == len(received)
    assert [each.id for each in received] == sorted(str(each.id) for each in received)


def test_a_stream_of_all_jobs_resumes_even_before_the_first_event(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    with subscribe(web.api, "/live") as stream:
        (ready,) = stream.take(1)
    job_id = make(web)
    ledger.claim(job_id)
    with subscribe(web.api, "/live", ready.id) as stream:
        first = stream.take(1)
    claim = ledger.claim_and_send(job_id)
    with subscribe(web.api, "/live", first[0].id) as stream:
        received = stream.take(2)
        ledger.finish(claim)
        received += stream.take(1)
    assert statuses(first + received) == STEPS
    assert received[-1].data["result"] == RESULT


def test_a_long_absence_is_caught_up_page_by_page(web: WebHarness) -> None:
    with subscribe(web.api, "/live") as stream:
        (ready,) = stream.take(1)
    made = [make(web, delay_seconds=60) for _ in range(450)]
    with subscribe(web.api, "/live", ready.id) as stream:
        received = stream.take(450)
        made.append(make(web, delay_seconds=60))
        received += stream.take(1)
    assert [each.data["id"] for each in received] == made


def test_entries_that_are_no_longer_kept_are_reported_as_a_gap(web: WebHarness) -> None:
    make(web)
    with subscribe(web.api, "/live") as stream:
        (ready,) = stream.take(1)
    lost, kept = make(web, delay_seconds=60), make(web, delay_seconds=60)
    web.store.xtrim(STREAM_KEY, maxlen=1, approximate=False)
    with subscribe(web.api, "/live", ready.id) as stream:
        gap, received = stream.take(2)
    assert (gap.event, gap.data) == ("gap", {"after": ready.id})
    assert (received.data["id"], received.event) == (kept, "change")
    assert lost != kept


def test_subscribers_share_one_redis_connection(web: WebHarness) -> None:
    with subscribe(web.api, "/live") as one, subscribe(web.api, f"/jobs/{make(web)}/live") as other:
        one.take(1)
        other.take(1)
        until(lambda: feed_readers(web.store))
        assert feed_readers(web.store) == 1
    until(lambda: not feed_readers(web.store))


@pytest.fixture
def own_web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """A web process of the test's own that reports at once."""
    with run_web(store_url, tmp_path, METRICS_SECONDS="0.05") as port, connect(port, store) as web:
        yield web


def test_a_subscriber_that_reads_nothing_is_disconnected_alone(
    own_web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one subscriber that reads and one that does not
    monkeypatch.setattr("service.live.broadcaster.MAX_PENDING", 256)
    web = own_web
    with _silent_subscriber(web) as silent, subscribe(web.api, "/live") as stream:
        stream.take(1)
        until(lambda: feed_readers(web.store))

        # When more happens than the silent one's buffers hold
        received: list[StreamEvent] = []
        for number in range(40):
            _flood(web.store, 100 * number, 100)
            received += stream.take(100)

        # Then it is disconnected, the other has received everything, and webhooks are accepted
        until(lambda: _subscribers(web) == 1, 20)
        until(lambda: _is_cut(silent), 20)
        assert web.http.get("/healthz").status_code == 200
    assert [each.data["id"] for each in received] == [f"job_{number}" for number in range(4_000)]


def _flood(store: redis.Redis, first: int, count: int, size: int = 4_000) -> None:
    """Add entries of imaginary jobs, too many for a socket's buffers."""
    fields: Any = {"at": "1795170408509", "n": "1", "to": "queued", "by": "x" * size, "why": ""}
    for number in range(first, first + count):
        store.xadd(STREAM_KEY, {"job": f"job_{number}", **fields})


def _subscribers(web: WebHarness) -> int:
    (line,) = (
        line
        for line in web.http.get("/metrics").text.splitlines()
        if line.startswith("heliograph_live_subscribers")
    )
    return int(float(line.split()[1]))


def _is_cut(connection: socket.socket) -> bool:
    """Whether the server has closed the connection; reads what is left."""
    connection.settimeout(0.05)
    try:
        return connection.recv(1 << 20) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _silent_subscriber(web: WebHarness) -> socket.socket:
    """A subscriber to all jobs that reads nothing."""
    connection = web.connect()
    head = "GET /live HTTP/1.1\r\nHost: x\r\nAuthorization: "
    connection.sendall(f"{head}{web.api.headers['Authorization']}\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


def test_a_stuck_subscriber_is_disconnected_even_with_few_pending_entries(
    own_web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.event_streams.SEND_TIMEOUT_SECONDS", 0.3)
    with _silent_subscriber(own_web) as silent, subscribe(own_web.api, "/live") as stream:
        stream.take(1)
        until(lambda: feed_readers(own_web.store))
        for number in range(30):
            _flood(own_web.store, 10 * number, 10, size=65_536)
            stream.take(10)
        until(lambda: _subscribers(own_web) == 1, 20)
        until(lambda: _is_cut(silent), 20)
