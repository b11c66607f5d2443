"""Photos against the fake Instagram: upload, write and verification."""

from __future__ import annotations

import base64
import time
from functools import partial
from typing import Any

import pytest
import redis
from aiograpi import exceptions as ig

from actors.instagram import photos
from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from actors.instagram.receipts import DmReceipt
from actors.instagram.request_deadline import CallOverdueError, request_deadline
from actors.instagram.write_matching import matching_dms
from actors.instagram.write_query import WriteQuery
from deploy.local.instagram.client import FakeInstagram
from tests.support.gateway import GatewayHarness
from tests.support.photos import encoded, picture

JPEG = encoded(picture())


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


async def existing_recipient(gateway: Gateway) -> str:
    """A recipient with whom the account has a thread."""
    pk = (await gateway.resolve("jenny.rosen")).pk
    await gateway.send_dm(pk, "Hello", "job_hello:1")
    return pk


async def send_photo(gateway: Gateway, pk: str, token: str = "job_x:1") -> DmReceipt:
    thread_id = await gateway.call(partial(photos.photo_thread_id, pk=pk))
    assert thread_id is not None
    media_id = await gateway.call(partial(photos.upload, jpeg=JPEG))
    return await gateway.call(
        partial(photos.send, thread_id=thread_id, media_id=media_id, token=token)
    )


def test_a_photo_arrives_unchanged_and_is_found_by_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[DmReceipt, DmReceipt | None]:
        pk = await existing_recipient(gateway)
        receipt = await send_photo(gateway, pk)
        return receipt, await gateway.find_dm(pk, "job_x:1", None, 1000)

    receipt, found = harness.run(steps)
    assert receipt == found
    _, dm = harness.fake_instagram.dms()
    assert (dm["kind"], dm["client_context"]) == ("photo", receipt.client_context)
    (upload,) = harness.fake_instagram.uploads()
    assert base64.b64decode(upload["content"]) == JPEG


def test_an_unsent_photo_is_not_found(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[DmReceipt | None, ...]:
        pk = await existing_recipient(gateway)
        before = await gateway.find_dm(pk, "job_x:1", None, 60_000)
        await send_photo(gateway, pk, "job_other:1")
        return before, await gateway.find_dm(pk, "job_x:1", None, 60_000)

    assert harness.run(steps) == (None, None)


def test_a_new_recipient_has_no_thread(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> str | None:
        pk = (await gateway.resolve("some.handle")).pk
        return await gateway.call(partial(photos.photo_thread_id, pk=pk))

    assert harness.run(steps) is None


def test_upload_and_write_use_fresh_connections_through_the_proxy(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an environment with a proxy that must not be used
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    async def steps(gateway: Gateway) -> None:
        pk = await existing_recipient(gateway)
        for number in range(2):
            await send_photo(gateway, pk, f"job_{number}:1")

    harness.run(steps)
    of = ("rupload_photo", "broadcast_photo")
    calls = [entry for entry in harness.fake_instagram.log() if entry["call"] in of]
    assert len({entry["connection"] for entry in calls}) == len(calls) == 4
    assert None not in {entry["connection"] for entry in calls}
    hosts = [entry["host"] for entry in harness.fake_instagram.connects()]
    assert hosts.count("rupload.facebook.com") == 2


@pytest.mark.parametrize("step", ["upload", "send"])
def test_no_photo_request_starts_after_the_deadline(harness: GatewayHarness, step: str) -> None:
    actions: dict[str, Any] = {
        "upload": partial(photos.upload, jpeg=JPEG),
        "send": partial(photos.send, thread_id="1", media_id="1", token="job_x:1"),
    }

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        with request_deadline(lambda: 0.0):
            await gateway.call(actions[step])

    with pytest.raises(CallOverdueError):
        harness.run(steps)
    calls = {entry["call"] for entry in harness.fake_instagram.log()}
    assert not calls & {"rupload_photo", "broadcast_photo"}


REFUSALS: dict[str, tuple[dict[str, Any], type[Exception], Outcome]] = {
    "server error": ({"status": 500}, ig.ClientError, Outcome.RETRY),
    "too many": ({"status": 429}, ig.ClientError, Outcome.COOL_DOWN),
    "feedback": ({"error": "feedback_required"}, ig.ClientError, Outcome.COOL_DOWN),
    "challenge": ({"error": "challenge_required"}, ig.ClientError, Outcome.HOLD),
    "challenge at 403": (
        {"status": 403, "body": {"message": "challenge_required", "status": "fail"}},
        ig.ClientError,
        Outcome.HOLD,
    ),
    "wait in a 200": (
        {"status": 200, "body": {"message": "Please wait a few minutes", "status": "fail"}},
        ig.ClientError,
        Outcome.COOL_DOWN,
    ),
    "refused": ({"status": 400}, ig.ClientError, Outcome.RETRY),
    "a way on": ({"status": 307, "location": "https://x.com/"}, ig.ClientError, Outcome.RETRY),
    "no number": ({"effect": "empty_ok"}, ig.ClientError, Outcome.RETRY),
    "no json": ({"effect": "not_json"}, ig.ClientError, Outcome.RETRY),
}  # fmt: skip


@pytest.mark.parametrize(("effect", "kind", "outcome"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_upload_is_classified_by_its_reply(
    harness: GatewayHarness, effect: dict[str, Any], kind: type[Exception], outcome: Outcome
) -> None:
    harness.fake_instagram.fault("rupload_photo", **effect)

    async def steps(gateway: Gateway) -> None:
        await gateway.call(partial(photos.upload, jpeg=JPEG))

    with pytest.raises(kind) as raised:
        harness.run(steps)
    assert classify(raised.value, writing=False).outcome is outcome
    assert len(harness.fake_instagram.log("rupload_photo")) == 1


def test_a_session_that_expires_before_the_upload_is_renewed(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> str:
        await gateway.ensure_login()
        harness.fake_instagram.expire_session("shop")
        return await gateway.call(partial(photos.upload, jpeg=JPEG))

    assert harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]


def test_an_upload_refused_by_the_proxy_is_a_proxy_error(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.proxy_fault("407")
        await gateway.call(partial(photos.upload, jpeg=JPEG))

    with pytest.raises(Exception) as raised:
        harness.run(steps)
    decision = classify(raised.value, writing=False)
    assert (decision.outcome, decision.code) == (Outcome.FIX_PROXY, "proxy_auth_required")


def test_only_a_photo_without_any_token_may_be_ours() -> None:
    now_us = int(time.time() * 1e6)
    own = {"user_id": "7", "timestamp": now_us, "item_type": "media"}
    rows = [
        {**own, "item_id": "bare"},
        {**own, "item_id": "by hand", "client_context": "7123456789012345678"},
        {**own, "item_id": "another job's", "client_context": "6800049142823403224"},
        {**own, "item_id": "a text", "item_type": "text", "text": "Hello"},
        {**own, "item_id": "of another", "user_id": "8"},
        {**own, "item_id": "old", "timestamp": now_us - 3_600_000_000},
    ]
    sought = WriteQuery("7", None, time.monotonic(), "6800011111111111112")
    found = matching_dms(rows, sought, now_us // 1000 - 10_000)
    assert [entry["item_id"] for entry in found] == ["bare"]
