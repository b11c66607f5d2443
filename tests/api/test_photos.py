"""Photos uploaded with their job or given as a URL: accepted whole, or rejected clearly."""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.wait import until
from service.jobs.model import Status
from service.photos.photo import MAX_PHOTO_BYTES
from tests.support.encryption import stored_photo
from tests.support.ledger import LedgerHarness
from tests.support.photos import (
    SECRET_COMMENT,
    SECRET_MAKER,
    animation,
    encoded,
    opened,
    picture,
    png_bomb,
    tagged_jpeg,
    text_bomb,
)
from tests.support.web import API_KEY, WebHarness, connect, read_response, run_web

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle"}
URL = "https://example.com/receipt.png?signature=a-secret"
TOO_LARGE = "photo: must be at most 8388608 bytes (8 MiB)."


def upload(
    web: WebHarness, file: bytes, name: str = "photo.jpg", key: str | None = None, **changes: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    job = {"job": json.dumps({**DM, **changes})}
    return web.api.post("/jobs", data=job, files={"photo": (name, file)}, headers=headers)


def assert_rejected(response: httpx.Response, status: int, code: str, field: str = "photo") -> None:
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["message"].startswith(f"{field}: ")


def test_an_uploaded_photo_creates_a_job_that_describes_it(web: WebHarness) -> None:
    # Given a photo with a rotated orientation
    photo = tagged_jpeg()
    # When it is uploaded with the job
    made = upload(web, photo, priority=7)
    # Then the job describes the photo without its content
    assert made.status_code == 202
    job = made.json()
    kept = stored_photo(web.store, job["id"]) or b""
    assert job["photo"] == {
        "from": "upload",
        "bytes": len(kept),
        "width": 200,
        "height": 320,
        "sha256": hashlib.sha256(photo).hexdigest(),
    }
    assert (job["kind"], job["priority"], made.headers["Location"]) == (
        "dm",
        7,
        f"/jobs/{job['id']}",
    )


def test_the_stored_photo_is_upright_and_has_no_metadata(web: WebHarness) -> None:
    photo = tagged_jpeg()
    assert SECRET_MAKER.encode() in photo
    assert SECRET_COMMENT in photo
    job = upload(web, photo).json()
    kept = stored_photo(web.store, job["id"]) or b""
    image = opened(kept)
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (200, 320), {})
    assert (b"Exif" in kept, SECRET_MAKER.encode() in kept, SECRET_COMMENT in kept) == (
        False,
        False,
        False,
    )
    # The red half is at the top now
    assert [image.getpixel(place) for place in ((100, 20), (100, 300))] == [
        (254, 0, 0),
        (0, 0, 254),
    ]


def test_the_file_name_is_ignored(web: WebHarness) -> None:
    made = upload(web, encoded(picture(mode="RGBA"), "PNG"), name="notes.txt")
    assert (made.status_code, made.json()["photo"]["width"]) == (202, 320)


HOSTILE = {
    "a text": (b"Dear Sir or Madam", "photo_not_an_image"),
    "another image": (encoded(picture(), "GIF"), "photo_not_an_image"),
    "nothing": (b"", "photo_not_an_image"),
    "a cut photo": (tagged_jpeg()[:900], "photo_broken"),
    "a PNG bomb": (png_bomb(), "photo_too_many_pixels"),
    "a bomb of remarks": (text_bomb(), "photo_broken"),
    "an animation": (animation(), "photo_animated"),
}


@pytest.mark.parametrize(("photo", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_is_no_photo_is_rejected_by_its_content(
    web: WebHarness, photo: bytes, code: str
) -> None:
    started = time.monotonic()
    assert_rejected(upload(web, photo, name="photo.jpg"), 422, code)
    assert time.monotonic() - started < 5
    assert web.contents() == {}


def test_a_photo_above_the_limit_is_rejected_with_the_limit(web: WebHarness) -> None:
    # By its declared length, or while it streams
    nine = bytes(9 * 1024 * 1024)
    received = upload(web, nine)
    body = httpx.Request("POST", "http://x/", files={"job": "{}", "photo": ("a", nine)})
    streamed = web.api.post(
        "/jobs", content=iter([body.read()]), headers={"Content-Type": body.headers["content-type"]}
    )
    for response in (received, streamed):
        assert response.status_code == 413
        assert response.json()["error"] == {"code": "photo_too_large", "message": TOO_LARGE}
    assert web.contents() == {}


def test_reading_stops_at_the_limit(web: WebHarness) -> None:
    # Given a sender that never ends
    with web.connect() as connection:
        connection.sendall(
            b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Authorization: Bearer " + API_KEY.encode() + b"\r\n\r\n"
        )
        part = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        _chunk(connection, part)
        sent = 0
        megabyte = bytes(1024 * 1024)
        # When it has sent the limit and a little more
        while sent <= MAX_PHOTO_BYTES:
            _chunk(connection, megabyte)
            sent += len(megabyte)
        # Then it is answered
        status, headers, body = read_response(connection)
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["error"]["code"] == "photo_too_large"


def _chunk(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n" % len(data) + data + b"\r\n")


def test_an_upload_without_a_key_is_rejected_before_a_byte_is_read(web: WebHarness) -> None:
    job = {"job": json.dumps(DM)}
    files = {"photo": ("a.jpg", tagged_jpeg())}
    assert web.http.post("/jobs", data=job, files=files).status_code == 401
    with web.connect() as connection:
        connection.sendall(
            b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        assert read_response(connection)[0] == 401


FORMS: dict[str, tuple[bytes, int, str]] = {
    "no boundary at its end": (
        b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n{}',
        400,
        "",
    ),
    "no form": (b'{"kind": "dm"}', 400, ""),
    "another part": (
        b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\n',
        422,
        "",
    ),
    "a nameless part": (b"--b\r\nX: y\r\n\r\nx\r\n--b--\r\n", 422, ""),
    "a part twice": (
        b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n{}\r\n' * 2 + b"--b--\r\n",
        422,
        "",
    ),
    "thousands of parts": (b"--b\r\nA: b\r\n\r\n\r\n" * 40_000, 422, ""),
    "endless headers": (b"--b\r\n" + b"A: b\r\n" * 40_000, 400, ""),
    "no photo": (
        b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n{}\r\n--b--\r\n',
        422,
        "photo",
    ),
    "no job": (
        b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\nx\r\n--b--\r\n',
        422,
        "job",
    ),
    "a large job": (
        b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n' + bytes(300_000),
        413,
        "job",
    ),
}


@pytest.mark.parametrize(("body", "status", "field"), FORMS.values(), ids=FORMS.keys())
def test_a_form_of_another_shape_is_rejected(
    web: WebHarness, body: bytes, status: int, field: str
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = web.api.post("/jobs", content=body, headers=headers)
    assert response.status_code == status
    assert response.json()["error"]["message"].startswith(field)
    assert web.contents() == {}


@pytest.mark.parametrize(
    ("job", "status"), [("{", 400), ("[]", 422), ("[" * 100_000, 400), ("{}", 422)]
)
def test_an_invalid_job_is_rejected_before_the_photo_is_processed(
    web: WebHarness, job: str, status: int
) -> None:
    files = {"photo": ("a.jpg", png_bomb())}
    response = web.api.post("/jobs", data={"job": job}, files=files)
    assert response.status_code == status
    assert "photo" not in response.text


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_a_boundary_is_rejected(web: WebHarness, content_type: str) -> None:
    response = web.api.post("/jobs", content=b"x", headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_form")


def test_a_slow_upload_is_rejected(web: WebHarness) -> None:
    with web.connect() as connection:
        connection.sendall(
            b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Authorization: Bearer " + API_KEY.encode() + b"\r\n\r\n--b\r\n"
        )
        status, _, body = read_response(connection)
    assert (status, json.loads(body)["error"]["code"]) == (408, "slow_body")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": "Hello"}, "text"),
        ({"kind": "comment", "to": None, "post": "CxyZabcDEfg"}, "photo"),
        ({"photo": URL}, "photo"),
        ({"to": None}, "to"),
        ({"priority": 10}, "priority"),
    ],
)
def test_a_field_not_allowed_with_an_uploaded_photo_is_named(
    web: WebHarness, changes: dict[str, Any], field: str
) -> None:
    response = upload(web, tagged_jpeg(), **changes)
    assert_rejected(response, 422, "invalid_request", field)
    assert [item["field"] for item in response.json()["error"]["fields"]] == [field]
    assert web.contents() == {}


def test_a_photo_url_is_left_to_a_worker(web: WebHarness) -> None:
    made = web.api.post("/jobs", json={**DM, "photo": URL})
    assert made.status_code == 202
    unknown = ("bytes", "width", "height", "sha256")
    assert made.json()["photo"] == {"from": "url", **dict.fromkeys(unknown)}
    assert "a-secret" not in made.text


BAD_URLS = [
    "http://example.com/a.jpg",
    "ftp://example.com/a.jpg",
    "https://user:a-secret@example.com/a.jpg",
    "https://",
    "not a url",
    "https://127.0.0.1/a.jpg",
    "https://169.254.169.254/latest/meta-data/a-secret",
    "https://[::1]/a.jpg",
    "https://[::ffff:10.0.0.1]/a.jpg",
    "https://10.1.2.3:8443/a.jpg",
    "https://[2002:a00:1::]/a.jpg",
    "https://[64:ff9b::a00:1]/a.jpg",
    "https://[::ffff:a00:1]/a.jpg",
    "https://[::10.0.0.1]/a.jpg",
    "",
    7,
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("path", ["/jobs", "/jobs:preview"])
def test_a_photo_url_that_must_not_be_fetched_is_rejected(
    web: WebHarness, url: Any, path: str
) -> None:
    response = web.api.post(path, json={**DM, "photo": url})
    assert_rejected(response, 422, "invalid_request")
    assert "a-secret" not in response.text
    assert web.contents() == {}


def test_what_callbacks_may_reach_is_not_open_to_photo_urls(
    web: WebHarness, store_url: str, tmp_path: Path
) -> None:
    allowed = {"CALLBACK_ALLOW_CIDRS": "10.0.0.0/8", "PHOTO_ALLOW_CIDRS": "192.168.7.0/24"}
    with run_web(store_url, tmp_path, **allowed) as port, connect(port, web.store) as opened:
        statuses = {
            host: opened.api.post(
                "/jobs", json={**DM, "photo": f"https://{host}/a.jpg"}
            ).status_code
            for host in ("10.1.2.3", "192.168.7.8", "[::ffff:192.168.7.8]", "[2002:c0a8:708::]")
        }
    assert statuses == {
        "10.1.2.3": 422,
        "192.168.7.8": 202,
        "[::ffff:192.168.7.8]": 202,
        "[2002:c0a8:708::]": 422,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": "Hello"}, "text"),
        ({"kind": "comment", "to": None, "post": "CxyZabcDEfg"}, "photo"),
    ],
)
def test_a_field_not_allowed_with_a_photo_url_is_named(
    web: WebHarness, changes: dict[str, Any], field: str
) -> None:
    assert_rejected(
        web.api.post("/jobs", json={**DM, "photo": URL, **changes}), 422, "invalid_request", field
    )


def test_an_idempotency_key_covers_the_photo(web: WebHarness) -> None:
    first = upload(web, tagged_jpeg(), key="order-7")
    again = upload(web, tagged_jpeg(), key="order-7")
    other = upload(web, tagged_jpeg(orientation=3), key="order-7")
    by_url = web.api.post(
        "/jobs", json={**DM, "photo": URL}, headers={"Idempotency-Key": "order-7"}
    )
    assert again.json() == first.json()
    assert {other.status_code, by_url.status_code} == {409}
    assert other.json()["error"]["code"] == "idempotency_conflict"
    assert len(list(web.store.scan_iter("hg:jobphoto:*"))) == 1


def test_a_preview_of_a_photo_url_creates_nothing(web: WebHarness) -> None:
    received = web.api.post("/jobs:preview", json={**DM, "photo": URL}).json()
    assert (received["decision"], received["dry_run"]) == ("send", False)
    assert web.contents() == {}


def test_a_photo_is_deleted_when_its_job_is_canceled(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = upload(web, tagged_jpeg(), delay_seconds=60).json()["id"]
    assert web.store.exists(f"hg:jobphoto:{job_id}")
    web.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert not web.store.exists(f"hg:jobphoto:{job_id}")
    assert web.api.get(f"/jobs/{job_id}").json()["photo"]["width"] == 200


def test_a_retry_without_the_photo_is_a_conflict(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = upload(web, tagged_jpeg()).json()["id"]
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    answered = web.api.post(f"/jobs/{job_id}/retry")
    assert (answered.status_code, answered.json()["error"]["code"]) == (409, "photo_gone")
    # A photo from a URL is fetched again
    by_url = web.api.post("/jobs", json={**DM, "photo": URL}).json()["id"]
    fetching = ledger.claim_fetch(by_url)
    assert fetching is not None
    assert ledger.finish(fetching, Status.FAILED)
    assert web.api.post(f"/jobs/{by_url}/retry").status_code == 202


def test_many_concurrent_photos_are_accepted(web: WebHarness) -> None:
    photos = [encoded(picture(200 + n, 100)) for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        responses = list(pool.map(lambda photo: upload(web, photo), photos))
    assert {each.status_code for each in responses} == {202}
    assert sorted(each.json()["photo"]["width"] for each in responses) == [*range(200, 212)]


def test_too_many_concurrent_uploads_are_rejected(web: WebHarness) -> None:
    # Given unfinished uploads
    head = (
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n"
        b"Authorization: Bearer " + API_KEY.encode() + b"\r\n\r\n--b\r\n"
    )
    responses: list[httpx.Response] = []

    def status() -> int:
        responses.append(upload(web, tagged_jpeg()))
        return responses[-1].status_code

    with ExitStack() as stack:
        for _ in range(24):
            stack.enter_context(web.connect()).sendall(head)
        # Then one more is rejected
        until(lambda: status() == 503)
    assert responses[-1].json()["error"]["code"] == "too_many_uploads"
    assert responses[-1].headers["Retry-After"] == "5"
    # And accepted when they are gone
    until(lambda: status() == 202)


def test_a_photo_is_rejected_with_503_if_the_disk_is_full(
    web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_disk:
        without_disk.setattr(tempfile, "tempdir", "/nonexistent")
        response = upload(web, tagged_jpeg())
    assert (response.status_code, response.json()["error"]["code"]) == (
        503,
        "photo_processing_failed",
    )
    assert web.contents() == {}
    assert upload(web, tagged_jpeg()).status_code == 202


def test_the_documentation_shows_both_content_types(web: WebHarness) -> None:
    content = web.http.get("/openapi.json").json()["paths"]["/jobs"]["post"]["requestBody"][
        "content"
    ]
    assert {*content} == {"application/json", "multipart/form-data"}
