"""Photo DMs through real processes: they arrive once and clean, or fail with a reason."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
from typing import Any

import httpx
import pytest
import redis

from deploy.local.instagram.records import DmRecord
from deploy.local.wait import until
from tests.support.photo_host import Answer, photo_host
from tests.support.photo_jobs import by_url, known_recipient, photos_to
from tests.support.photos import (
    SECRET_COMMENT,
    SECRET_MAKER,
    encoded,
    opened,
    picture,
    png_bomb,
    tagged_jpeg,
)
from tests.support.scenario import Scenario


def upload(scenario: Scenario, to: str, photo: bytes = b"", **wanted: Any) -> httpx.Response:
    """Create a photo DM by upload."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", **wanted}
    files = {"photo": ("photo.jpg", photo or tagged_jpeg())}
    return scenario.api.post("/jobs", data={"job": json.dumps(job)}, files=files)


def uploaded(scenario: Scenario, to: str, **wanted: Any) -> str:
    """Create a photo DM by upload; return the job's id."""
    return str(upload(scenario, to, **wanted).raise_for_status().json()["id"])


def content_of(scenario: Scenario, dm: DmRecord) -> bytes:
    """A photo's bytes at the fake Instagram."""
    uploads = scenario.stack.fake_instagram.uploads()
    (found,) = [each for each in uploads if each["media_id"] == dm["attachment_id"]]
    return base64.b64decode(found["content"])


def is_kept(scenario: Scenario, job_id: str) -> bool:
    """Whether the store still has a job's photo."""
    with redis.Redis.from_url(scenario.stack.redis_url) as client:
        return bool(client.exists(f"hg:jobphoto:{job_id}"))


def test_an_uploaded_photo_arrives_once_and_clean(scenario: Scenario) -> None:
    # Given a thread, and a photo with personal metadata
    to, photo = known_recipient(scenario), tagged_jpeg()
    # When it is uploaded
    job = scenario.wait_final(uploaded(scenario, to, photo=photo))
    # Then it is in the thread, upright and without metadata
    assert job["status"] == "succeeded"
    (dm,) = photos_to(scenario, to)
    assert job["result"] == {
        "message_id": dm["item_id"],
        "thread_id": dm["thread_id"],
        "client_context": dm["client_context"],
    }
    content = content_of(scenario, dm)
    image = opened(content)
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (200, 320), {})
    assert SECRET_MAKER.encode() not in content
    assert SECRET_COMMENT not in content
    assert job["photo"] == {
        "from": "upload",
        "bytes": len(content),
        "width": 200,
        "height": 320,
        "sha256": hashlib.sha256(photo).hexdigest(),
    }
    # And it is no longer stored, every call went through the proxy, and there is a callback
    assert not is_kept(scenario, job["id"])
    (call,) = scenario.stack.fake_instagram.log("rupload_photo")[-1:]
    assert (call["host"], call["account"]) == ("rupload.facebook.com", "shop")
    assert call["connection"] is not None
    (told,) = scenario.wait_callbacks(job["id"])
    assert told["event"]["type"] == "job.succeeded"


def test_a_photo_by_url_is_fetched_by_the_worker_and_arrives(scenario: Scenario) -> None:
    to, photo = known_recipient(scenario), encoded(picture(3000, 1500, "RGBA"), "PNG")
    with photo_host({"/receipt?signature=s": photo}) as host:
        job = scenario.wait_final(by_url(scenario, to, host.url("/receipt?signature=s")))
    assert (job["status"], host.requested) == ("succeeded", ["/receipt?signature=s"])
    (dm,) = photos_to(scenario, to)
    assert opened(content_of(scenario, dm)).size == (1440, 720)
    assert (job["photo"]["from"], job["photo"]["width"]) == ("url", 1440)
    # And its URL, which may be secret, appears nowhere
    logs = "".join(log.read_text() for log in scenario.stack.directory.glob("*.log"))
    assert "signature=s" not in logs + json.dumps(job) + json.dumps(
        scenario.wait_callbacks(job["id"])
    )
    assert job["photo"]["sha256"] == hashlib.sha256(photo).hexdigest()
    assert not is_kept(scenario, job["id"])


@pytest.mark.parametrize("way", ["upload", "url"])
def test_a_photo_without_a_thread_is_rejected_before_any_write(
    scenario: Scenario, way: str
) -> None:
    stranger = f"s{os.urandom(6).hex()}"
    with photo_host({"/a": tagged_jpeg()}) as host:
        url = host.url("/a")
        job_id = (
            uploaded(scenario, stranger) if way == "upload" else by_url(scenario, stranger, url)
        )
        job = scenario.wait_final(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "thread_required")
    assert "send a text first" in job["error"]["message"]
    path = [each["status"] for each in scenario.api.get(f"/jobs/{job_id}/timeline").json()["items"]]
    assert "sending" not in path
    assert photos_to(scenario, stranger) == []


BAD: dict[str, tuple[bytes | Answer, str, str]] = {
    "a text named .jpg": (b"Dear Sir or Madam", "photo_not_an_image", "whatever its file name"),
    "a PNG bomb": (png_bomb(), "photo_too_many_pixels", "pixels"),
    "9 MB": (bytes(9 * 1024 * 1024), "photo_too_large", "8388608 bytes"),
    "9 MB that are not announced": (
        Answer(bytes(9 * 1024 * 1024), with_length=False),
        "photo_too_large",
        "8388608 bytes",
    ),
    "nothing there": (Answer(status=404), "photo_url_refused", "status 404"),
    "a way on": (
        Answer(status=302, headers={"Location": "http://169.254.169.254/"}),
        "photo_url_refused",
        "not followed",
    ),
    "a gzipped one": (
        Answer(b"x", headers={"Content-Encoding": "gzip"}),
        "photo_url_refused",
        "compressed",
    ),
}


@pytest.mark.parametrize(("answer", "code", "says"), BAD.values(), ids=BAD.keys())
def test_a_url_without_a_valid_photo_fails_the_job(
    scenario: Scenario, answer: bytes | Answer, code: str, says: str
) -> None:
    with photo_host({"/photo.jpg": answer}) as host:
        job = scenario.wait_final(by_url(scenario, "some.handle", host.url("/photo.jpg")))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert says in job["error"]["message"]
    assert not is_kept(scenario, job["id"])


def test_a_hostname_with_an_internal_address_is_not_fetched(scenario: Scenario) -> None:
    # Given a hostname that resolves to an internal address, one that callbacks may reach: the web
    # process accepts it
    with photo_host({"/a": tagged_jpeg()}) as host:
        job = scenario.wait_final(by_url(scenario, "some.handle", host.url("/a", "0")))
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_url_blocked")
    assert host.requested == []


def test_a_temporarily_missing_photo_is_fetched_again(scenario: Scenario) -> None:
    to = known_recipient(scenario)
    with photo_host({"/a": Answer(status=503)}) as host:
        job_id = by_url(scenario, to, host.url("/a"))
        until(lambda: scenario.job(job_id)["wait"]["reason"] == "photo_url_failed")
        host.answers["/a"] = Answer(tagged_jpeg())
        job = scenario.wait_final(job_id)
    assert (job["status"], job["attempts"], len(photos_to(scenario, to))) == ("succeeded", 2, 1)


def test_a_photo_that_is_no_longer_stored_fails_its_job(
    scenario: Scenario,
) -> None:
    job_id = uploaded(scenario, "some.handle", delay_seconds=2)
    with redis.Redis.from_url(scenario.stack.redis_url) as client:
        client.delete(f"hg:jobphoto:{job_id}")
    job = scenario.wait_final(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_gone")
    assert scenario.api.post(f"/jobs/{job_id}/retry").json()["error"]["code"] == "photo_gone"


def test_a_dry_run_does_everything_but_the_write(scenario: Scenario) -> None:
    to = known_recipient(scenario)
    before = len(scenario.stack.fake_instagram.uploads())
    job = scenario.wait_final(uploaded(scenario, to, dry_run=True))
    assert (job["status"], job["result"]) == ("succeeded", {"dry_run": True})
    stranger = scenario.wait_final(uploaded(scenario, f"s{os.urandom(6).hex()}", dry_run=True))
    assert stranger["error"]["code"] == "thread_required"
    assert len(scenario.stack.fake_instagram.uploads()) == before
    assert not is_kept(scenario, job["id"])


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_before"},
        {"status": 503},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"effect": "drop_after"},
    ],
    ids=["dropped", "server error", "empty reply", "cut reply", "dropped after"],
)
def test_after_a_failed_upload_nothing_was_sent(scenario: Scenario, effect: dict[str, Any]) -> None:
    to = known_recipient(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", **effect)
    job = scenario.wait_final(uploaded(scenario, to), 40)
    # It is retried without a verification lookup
    assert (job["status"], job["attempts"], len(photos_to(scenario, to))) == ("succeeded", 2, 1)
    timeline = scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert [
        line["why"] for line in timeline if line["why"] in ("intent", "verification lookup")
    ] == [
        "intent",
        "intent",
    ]


def test_an_account_error_at_the_upload_holds_the_account(scenario: Scenario) -> None:
    to = known_recipient(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", error="challenge_required")
    job_id = uploaded(scenario, to)
    scenario.wait_status(job_id, "held")
    assert scenario.api.get("/accounts/shop").json()["hold"]["reason"] == "challenge_required"
    scenario.api.post("/accounts/shop/resume").raise_for_status()
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert len(photos_to(scenario, to)) == 1


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_after"},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"status_after_effect": 502},
    ],
    ids=["connection dropped", "empty reply", "cut reply", "server error"],
)
def test_a_photo_whose_response_was_lost_is_found_and_not_repeated(
    scenario: Scenario, effect: dict[str, Any]
) -> None:
    to = known_recipient(scenario)
    scenario.stack.fake_instagram.fault("broadcast_photo", **effect)
    job = scenario.wait_final(uploaded(scenario, to), 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(scenario, to)] == [job["result"]["message_id"]]


def test_a_photo_that_never_arrived_is_sent_after_two_lookups(scenario: Scenario) -> None:
    to = known_recipient(scenario)
    scenario.stack.fake_instagram.fault("broadcast_photo", "drop_before")
    job = scenario.wait_final(uploaded(scenario, to), 40)
    assert (job["status"], len(photos_to(scenario, to))) == ("succeeded", 1)
    timeline = scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert sum(line["why"] == "verification lookup" for line in timeline) == 2


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ("rupload_photo", {"delay_seconds": 30}),
        ("rupload_photo", {"delay_after_effect_seconds": 30}),
        ("broadcast_photo", {"delay_after_effect_seconds": 30}),
    ],
    ids=["before the upload", "after the upload", "after the write"],
)
def test_after_a_kill_in_this_request_another_worker_sends_the_photo(
    scenario: Scenario, call: str, effect: dict[str, Any]
) -> None:
    # Given a worker that is killed while it waits for a response
    to = known_recipient(scenario)
    fault = scenario.stack.fake_instagram.fault(call, **effect)
    job_id = uploaded(scenario, to)
    # A call is logged before its body has arrived, and meets the fault only then.
    until(
        lambda: [each for each in scenario.stack.fake_instagram.log(call) if each["fault"] == fault]
    )
    if call == "broadcast_photo":
        until(lambda: photos_to(scenario, to), 20, "the photo")
    scenario.stack.processes["worker"].kill()
    # When another starts
    scenario.stack.start("worker")
    # Then the photo arrives once, with one callback
    job = scenario.wait_final(job_id, 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(scenario, to)] == [job["result"]["message_id"]]
    assert len(scenario.wait_callbacks(job_id)) == 1


def test_a_worker_that_stops_during_an_upload_hands_the_job_back(scenario: Scenario) -> None:
    # Given an upload that hangs for longer than a stop may take
    to = known_recipient(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", delay_seconds=60)
    job_id = uploaded(scenario, to)
    scenario.wait_status(job_id, "sending")
    worker = scenario.stack.processes["worker"]
    # When its worker is told to stop
    worker.signal(signal.SIGTERM)
    assert worker.wait(25) == 0
    # Then the job is known not to be sent: there is nothing to verify
    assert scenario.job(job_id)["status"] in ("queued", "waiting")
    scenario.stack.start("worker")
    assert scenario.wait_final(job_id, 40)["status"] == "succeeded"
    assert len(photos_to(scenario, to)) == 1
