"""Photos through real processes: they arrive once, clean, or not at all and with a reason."""

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
from tests.support.hosts import Answer, photo_host
from tests.support.journey import Journey
from tests.support.photos import (
    SECRET_COMMENT,
    SECRET_MAKER,
    encoded,
    opened,
    picture,
    png_bomb,
    telling_jpeg,
)


def friend(journey: Journey) -> str:
    """Somebody whom the account has a conversation with."""
    name = f"f{os.urandom(6).hex()}"
    journey.stack.fake_instagram.add_user(name)
    assert journey.ended(journey.order(to=name))["status"] == "succeeded"
    return name


def upload(journey: Journey, to: str, photo: bytes = b"", **wanted: Any) -> httpx.Response:
    """Ask for a photo to be sent."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", **wanted}
    files = {"photo": ("photo.jpg", photo or telling_jpeg())}
    return journey.api.post("/jobs", data={"job": json.dumps(job)}, files=files)


def uploaded(journey: Journey, to: str, **wanted: Any) -> str:
    """The job of an uploaded photo."""
    return str(upload(journey, to, **wanted).raise_for_status().json()["id"])


def by_url(journey: Journey, to: str, url: str, **wanted: Any) -> str:
    """The job of a photo that is fetched."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", "photo": url, **wanted}
    return str(journey.api.post("/jobs", json=job).raise_for_status().json()["id"])


def photos_to(journey: Journey, to: str) -> list[DmRecord]:
    """The photos that somebody has got."""
    dms = journey.stack.fake_instagram.dms()
    return [dm for dm in dms if dm["kind"] == "photo" and dm["recipients"] == [to]]


def content_of(journey: Journey, dm: DmRecord) -> bytes:
    """What a photo is made of, as Instagram has it."""
    uploads = journey.stack.fake_instagram.uploads()
    (found,) = [each for each in uploads if each["media_id"] == dm["attachment_id"]]
    return base64.b64decode(found["content"])


def is_kept(journey: Journey, job_id: str) -> bool:
    """Whether the store still has a job's photo."""
    with redis.Redis.from_url(journey.stack.redis_url) as client:
        return bool(client.exists(f"hg:jobphoto:{job_id}"))


def test_an_uploaded_photo_arrives_once_and_clean(journey: Journey) -> None:
    # Given a conversation, and a photo that tells who took it
    to, photo = friend(journey), telling_jpeg()
    # When it is uploaded
    job = journey.ended(uploaded(journey, to, photo=photo))
    # Then it is in the conversation, upright, and tells nothing
    assert job["status"] == "succeeded"
    (dm,) = photos_to(journey, to)
    assert job["result"] == {
        "message_id": dm["item_id"],
        "thread_id": dm["thread_id"],
        "client_context": dm["client_context"],
    }
    content = content_of(journey, dm)
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
    # And it is no longer here, everything went through the proxy, and its end was told
    assert not is_kept(journey, job["id"])
    (call,) = journey.stack.fake_instagram.log("rupload_photo")[-1:]
    assert (call["host"], call["account"]) == ("rupload.facebook.com", "shop")
    assert call["connection"] is not None
    (told,) = journey.called_back(job["id"])
    assert told["event"]["type"] == "job.succeeded"


def test_a_photo_by_url_is_fetched_by_the_worker_and_arrives(journey: Journey) -> None:
    to, photo = friend(journey), encoded(picture(3000, 1500, "RGBA"), "PNG")
    with photo_host({"/receipt?signature=s": photo}) as host:
        job = journey.ended(by_url(journey, to, host.url("/receipt?signature=s")))
    assert (job["status"], host.asked) == ("succeeded", ["/receipt?signature=s"])
    (dm,) = photos_to(journey, to)
    assert opened(content_of(journey, dm)).size == (1440, 720)
    assert (job["photo"]["from"], job["photo"]["width"]) == ("url", 1440)
    # And where it came from, which may be a secret, is told nowhere
    logs = "".join(log.read_text() for log in journey.stack.directory.glob("*.log"))
    assert "signature=s" not in logs + json.dumps(job) + json.dumps(journey.called_back(job["id"]))
    assert job["photo"]["sha256"] == hashlib.sha256(photo).hexdigest()
    assert not is_kept(journey, job["id"])


@pytest.mark.parametrize("way", ["upload", "url"])
def test_a_photo_to_somebody_without_a_conversation_is_refused_before_any_write(
    journey: Journey, way: str
) -> None:
    stranger = f"s{os.urandom(6).hex()}"
    with photo_host({"/a": telling_jpeg()}) as host:
        url = host.url("/a")
        job_id = uploaded(journey, stranger) if way == "upload" else by_url(journey, stranger, url)
        job = journey.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "thread_required")
    assert "send a text first" in job["error"]["message"]
    path = [each["status"] for each in journey.api.get(f"/jobs/{job_id}/timeline").json()["items"]]
    assert "sending" not in path
    assert photos_to(journey, stranger) == []


BAD: dict[str, tuple[bytes | Answer, str, str]] = {
    "a text named .jpg": (b"Dear Sir or Madam", "photo_not_an_image", "whatever its name"),
    "a PNG bomb": (png_bomb(), "photo_too_many_pixels", "pixels"),
    "9 MB": (bytes(9 * 1024 * 1024), "photo_too_large", "8388608 bytes"),
    "9 MB that are not announced": (
        Answer(bytes(9 * 1024 * 1024), told=False),
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
def test_what_is_no_photo_at_its_url_is_told_and_not_sent(
    journey: Journey, answer: bytes | Answer, code: str, says: str
) -> None:
    with photo_host({"/photo.jpg": answer}) as host:
        job = journey.ended(by_url(journey, "some.handle", host.url("/photo.jpg")))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert says in job["error"]["message"]
    assert not is_kept(journey, job["id"])


def test_a_name_that_leads_inside_is_not_fetched(journey: Journey) -> None:
    # Given a name that only a resolver knows to be ours: the door lets it pass
    with photo_host({"/a": telling_jpeg()}) as host:
        job = journey.ended(by_url(journey, "some.handle", host.url("/a", "0")))
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_url_blocked")
    assert host.asked == []


def test_a_photo_that_is_not_there_yet_is_fetched_again(journey: Journey) -> None:
    to = friend(journey)
    with photo_host({"/a": Answer(status=503)}) as host:
        job_id = by_url(journey, to, host.url("/a"))
        assert journey.becomes(job_id, "waiting")["wait"]["reason"] == "photo_url_failed"
        host.answers["/a"] = Answer(telling_jpeg())
        job = journey.ended(job_id)
    assert (job["status"], job["attempts"], len(photos_to(journey, to))) == ("succeeded", 2, 1)


def test_a_photo_that_is_no_longer_kept_ends_its_job_with_a_word_about_it(journey: Journey) -> None:
    job_id = uploaded(journey, "some.handle", delay_seconds=2)
    with redis.Redis.from_url(journey.stack.redis_url) as client:
        client.delete(f"hg:jobphoto:{job_id}")
    job = journey.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_gone")
    assert journey.api.post(f"/jobs/{job_id}/retry").json()["error"]["code"] == "photo_gone"


def test_a_dry_run_does_all_but_the_write(journey: Journey) -> None:
    to = friend(journey)
    before = len(journey.stack.fake_instagram.uploads())
    job = journey.ended(uploaded(journey, to, dry_run=True))
    assert (job["status"], job["result"]) == ("succeeded", {"dry_run": True})
    stranger = journey.ended(uploaded(journey, f"s{os.urandom(6).hex()}", dry_run=True))
    assert stranger["error"]["code"] == "thread_required"
    assert len(journey.stack.fake_instagram.uploads()) == before
    assert not is_kept(journey, job["id"])


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
def test_an_upload_that_fails_is_known_not_to_be_sent(
    journey: Journey, effect: dict[str, Any]
) -> None:
    to = friend(journey)
    journey.stack.fake_instagram.fault("rupload_photo", **effect)
    job = journey.ended(uploaded(journey, to), 40)
    # It is just tried again, without a look-up
    assert (job["status"], job["attempts"], len(photos_to(journey, to))) == ("succeeded", 2, 1)
    timeline = journey.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert [line["why"] for line in timeline if line["why"] in ("intent", "look-up")] == [
        "intent",
        "intent",
    ]


def test_a_refusal_at_the_upload_that_is_about_the_account_holds_it(journey: Journey) -> None:
    to = friend(journey)
    journey.stack.fake_instagram.fault("rupload_photo", error="challenge_required")
    job_id = uploaded(journey, to)
    journey.becomes(job_id, "held")
    assert journey.api.get("/accounts/shop").json()["hold"]["reason"] == "challenge_required"
    journey.api.post("/accounts/shop/resume").raise_for_status()
    assert journey.ended(job_id)["status"] == "succeeded"
    assert len(photos_to(journey, to)) == 1


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
def test_a_photo_whose_answer_was_lost_is_found_and_not_repeated(
    journey: Journey, effect: dict[str, Any]
) -> None:
    to = friend(journey)
    journey.stack.fake_instagram.fault("broadcast_photo", **effect)
    job = journey.ended(uploaded(journey, to), 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(journey, to)] == [job["result"]["message_id"]]


def test_a_photo_that_never_arrived_is_sent_after_two_looks(journey: Journey) -> None:
    to = friend(journey)
    journey.stack.fake_instagram.fault("broadcast_photo", "drop_before")
    job = journey.ended(uploaded(journey, to), 40)
    assert (job["status"], len(photos_to(journey, to))) == ("succeeded", 1)
    timeline = journey.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert sum(line["why"] == "look-up" for line in timeline) == 2


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ("rupload_photo", {"delay_seconds": 30}),
        ("rupload_photo", {"delay_after_effect_seconds": 30}),
        ("broadcast_photo", {"delay_after_effect_seconds": 30}),
    ],
    ids=["before the upload", "after the upload", "after the write"],
)
def test_a_worker_killed_in_this_request_leaves_the_photo_to_another(
    journey: Journey, call: str, effect: dict[str, Any]
) -> None:
    # Given a worker that is killed while it waits for an answer
    to = friend(journey)
    fault = journey.stack.fake_instagram.fault(call, **effect)
    job_id = uploaded(journey, to)
    # A call is in the log before its body is there, and only then meets the fault.
    until(
        lambda: [each for each in journey.stack.fake_instagram.log(call) if each["fault"] == fault]
    )
    if call == "broadcast_photo":
        until(lambda: photos_to(journey, to), 20, "the photo")
    journey.stack.processes["worker"].kill()
    # When another starts
    journey.stack.start("worker")
    # Then the photo arrives once, and its end is told once
    job = journey.ended(job_id, 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(journey, to)] == [job["result"]["message_id"]]
    assert len(journey.called_back(job_id)) == 1


def test_a_worker_told_to_stop_in_an_upload_hands_the_job_back(journey: Journey) -> None:
    # Given an upload that hangs for longer than a stop may take
    to = friend(journey)
    journey.stack.fake_instagram.fault("rupload_photo", delay_seconds=60)
    job_id = uploaded(journey, to)
    journey.becomes(job_id, "sending")
    worker = journey.stack.processes["worker"]
    # When its worker is told to stop
    worker.signal(signal.SIGTERM)
    assert worker.wait(25) == 0
    # Then it has said that nothing was sent: there is nothing to look for
    assert journey.job(job_id)["status"] in ("queued", "waiting")
    journey.stack.start("worker")
    assert journey.ended(job_id, 40)["status"] == "succeeded"
    assert len(photos_to(journey, to)) == 1
