"""Following jobs as server-sent events: every change once, in order, from any position on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.wait import until
from service.jobs.model import Status
from tests.support.event_streams import StreamEvent, feed_readers, subscribe
from tests.support.ledger import FAILURE, RESULT, LedgerHarness
from tests.support.lua import run_lua
from tests.support.web import WebHarness

JOB: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
STEPS = ["queued", "running", "sending", "succeeded"]


def make(web: WebHarness, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json={**JOB, **changes}).json()["id"]
    return job_id


def following(web: WebHarness, job_id: str, last_id: str | None = None) -> Any:
    return subscribe(web.api, f"/jobs/{job_id}/live", last_id)


def statuses(received: list[StreamEvent]) -> list[str]:
    return [each.data["status"] for each in received]


def test_a_job_is_followed_from_creation_to_end(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    with following(web, job_id) as stream:
        received = stream.take(1)
        ledger.finish(ledger.claim_and_send(job_id))
        received += list(stream)

    assert statuses(received) == STEPS
    assert [each.id for each in received] == ["1", "2", "3", "4"]
    assert [each.event for each in received] == ["change", "change", "change", "end"]
    timeline = web.api.get(f"/jobs/{job_id}/timeline").json()["items"]
    shown = web.api.get(f"/jobs/{job_id}").json()
    assert [each.data for each in received[:-1]] == [
        {"id": job_id, **line} for line in timeline[:-1]
    ]
    outcome = {name: shown[name] for name in ("result", "error")}
    assert received[-1].data == {"id": job_id, **timeline[-1], **outcome}
    assert outcome["result"] == RESULT
    assert stream.retries[0] == 1000


def test_a_late_subscriber_receives_the_same_events(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    with following(web, job_id) as stream:
        ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
        received = list(stream)
    with following(web, job_id) as stream:
        assert list(stream) == received
    assert received[-1].data["error"]["code"] == FAILURE.code


@pytest.mark.parametrize("heard", range(4))
def test_a_stream_resumes_after_the_last_event(
    web: WebHarness, ledger: LedgerHarness, heard: int
) -> None:
    job_id = make(web)
    steps: list[Callable[[], object]] = [
        lambda: ledger.claim(job_id),
        lambda: ledger.record_intent(ledger.claim(job_id)),
        lambda: ledger.finish(ledger.claim(job_id)),
    ]
    received: list[StreamEvent] = []
    with following(web, job_id) as stream:
        for number in range(heard):
            received += stream.take(1)
            steps[number]()
    for step in steps[heard:]:
        step()

    last_id = received[-1].id if received else None
    with following(web, job_id, last_id) as stream:
        received += list(stream)

    assert [each.id for each in received] == ["1", "2", "3", "4"]
    assert statuses(received) == STEPS


def test_the_query_parameter_works_like_the_header_which_takes_precedence(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id))
    with subscribe(web.api, f"/jobs/{job_id}/live?after=2") as stream:
        assert [each.id for each in stream] == ["3", "4"]
    with subscribe(web.api, f"/jobs/{job_id}/live?after=1", "3") as stream:
        assert [each.id for each in stream] == ["4"]
    with subscribe(web.api, f"/jobs/{job_id}/live", "") as stream:
        assert len(list(stream)) == 4


def test_a_subscriber_that_has_the_last_event_is_told_not_to_reconnect(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id))
    answer = web.api.get(f"/jobs/{job_id}/live", headers={"Last-Event-ID": "4"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_retried_job_continues_its_stream(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id), Status.FAILED)
    with following(web, job_id) as stream:
        last = list(stream)[-1]
    web.api.post(f"/jobs/{job_id}/retry").raise_for_status()
    with following(web, job_id, last.id) as stream:
        received = stream.take(1)
        ledger.finish(ledger.claim(job_id))
        received += list(stream)
    with following(web, job_id) as stream:
        whole = list(stream)

    assert statuses(received)[0] == "queued"
    assert received[-1].event == "end"
    # A late subscriber does not see the first end as the end
    assert [each.event for each in whole].count("end") == 1
    assert statuses(whole)[:4] == [*STEPS[:3], "failed"]
    assert [each.id for each in whole] == [str(number + 1) for number in range(len(whole))]


def test_an_id_from_the_future_gets_a_gap_and_the_whole_history(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id))
    with following(web, job_id, "9") as stream:
        gap, *received = list(stream)
    assert (gap.event, gap.id, gap.data) == ("gap", None, {"id": job_id, "after": "9"})
    assert statuses(received) == STEPS


def test_an_expired_position_gets_a_gap(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    web.store.ltrim(f"hg:jobtl:{job_id}", 1, -1)
    web.store.hset(f"hg:job:{job_id}", "trimmed", 7)
    ledger.finish(ledger.claim_and_send(job_id))
    with following(web, job_id, "3") as stream:
        gap, *received = list(stream)
    assert gap.event == "gap"
    assert [each.id for each in received] == ["8", "9", "10"]
    with following(web, job_id) as stream:
        assert list(stream) == received  # nobody who begins has missed anything


def test_a_result_too_long_for_the_stream_is_sent_whole(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id, long = make(web), {"message_id": "m" * 4_000}
    claim = ledger.claim_and_send(job_id)
    with following(web, job_id) as stream:
        received = stream.take(3)
        until(lambda: feed_readers(web.store))
        ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=long, failure=None))
        received += list(stream)
    assert statuses(received) == STEPS
    assert received[-1].data["result"] == long


def test_progress_is_sent_between_the_changes(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id, news = make(web), {"pages": 3, "users": 150}
    script = "publish_progress(load_job(ARGV[1]), cjson.decode(ARGV[2]), now_ms())"
    claim = ledger.claim_and_send(job_id)
    with following(web, job_id) as stream, subscribe(web.api, "/live") as everything:
        received = stream.take(3)
        everything.take(1)
        until(lambda: feed_readers(web.store))
        run_lua(web.store, script, job_id, json.dumps(news))
        received += stream.take(1)
        ledger.finish(claim)
        received += list(stream)
        of_all = everything.take(2)

    assert [each.event for each in received] == ["change"] * 3 + ["progress", "end"]
    assert (received[3].id, received[3].data["progress"]) == (None, news)
    assert stream.last_id == "4"
    assert [each.event for each in of_all] == ["progress", "end"]
    assert of_all[0].id is not None


@pytest.mark.parametrize("path", ["/jobs/{}/live", "/live"])
@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "\uff11", "1" * 20, "1-", "1-2-3", "*"])
def test_an_invalid_event_id_is_rejected(web: WebHarness, path: str, last_id: str) -> None:
    response = web.api.get(path.format(make(web)), params={"after": last_id})
    assert response.status_code == 422
    assert [item["field"] for item in response.json()["error"]["fields"]] == ["after"]


def test_too_many_subscribers_are_rejected(
    web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.live.MAX_SUBSCRIBERS", 2)
    with subscribe(web.api, "/live") as one, subscribe(web.api, f"/jobs/{make(web)}/live") as other:
        one.take(1)
        other.take(1)
        for path in ("/live", f"/jobs/{make(web)}/live"):
            response = web.api.get(path)
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "too_many_subscribers"


def test_a_silent_stream_sends_heartbeats(web: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.live.subscriptions.HEARTBEAT_SECONDS", 0.02)
    job_id = make(web)
    for path in (f"/jobs/{job_id}/live", "/live"):
        with web.api.stream("GET", path) as answer:
            silent = (line == ":" for line in answer.iter_lines())
            assert sum(itertools.islice(filter(None, silent), 5)) == 5


def test_a_change_missing_from_the_stream_is_found_by_polling(
    web: WebHarness, ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a subscriber, and an older release that does not write to the stream
    monkeypatch.setattr("service.live.subscriptions.HEARTBEAT_SECONDS", 0.05)
    job_id = make(web)
    with following(web, job_id) as stream:
        received = stream.take(1)
        web.store.rpush(f"hg:jobtl:{job_id}", json.dumps(["1795170408509", "queued", "older", ""]))
        received += stream.take(1)
        # When a newer release ends the job, the numbers continue
        web.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
        received += list(stream)
    assert [each.id for each in received] == ["1", "2", "3"]
    assert received[1].data["by"] == "older"


def test_responses_are_neither_cached_nor_buffered(web: WebHarness) -> None:
    with web.api.stream("GET", "/live") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"


def test_a_short_redis_outage_loses_no_event(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    with following(web, job_id) as stream, subscribe(web.api, "/live") as everything:
        received, heard = stream.take(1), everything.take(1)
        until(lambda: feed_readers(web.store))
        (reader,) = (each for each in web.store.client_list() if each["cmd"] == "xread")
        web.store.client_kill_filter(_id=reader["id"])
        ledger.finish(ledger.claim_and_send(job_id))
        received += list(stream)
        heard += everything.take(3)
    assert statuses(received) == STEPS
    assert statuses(heard[1:]) == STEPS[1:]
