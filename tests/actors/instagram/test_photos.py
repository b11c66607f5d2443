"""Photos against the fake Instagram: the upload, the write, and the look for it."""

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
from actors.instagram.reconcile import WriteQuery, dms_like
from actors.instagram.write_deadline import CallOverdueError, request_deadline
from deploy.local.instagram.client import FakeInstagram
from tests.support.gateway import GatewayHarness
from tests.support.photos import encoded, picture

JPEG = encoded(picture())


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


async def jenny(gateway: Gateway) -> str:
    """A recipient with whom there is a conversation."""
    pk = (await gateway.resolve("jenny.rosen")).pk
    await gateway.send_dm(pk, "Hello", "job_hello:1")
    return pk


async def sent(gateway: Gateway, pk: str, token: str = "job_x:1") -> DmReceipt:
    thread_id = await gateway.call(partial(photos.thread_with, pk=pk))
    assert thread_id is not None
    media_id = await gateway.call(partial(photos.upload, jpeg=JPEG))
    return await gateway.call(
        partial(photos.send, thread_id=thread_id, media_id=media_id, token=token)
    )


def test_a_photo_arrives_byte_for_byte_and_is_found_by_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[DmReceipt, DmReceipt | None]:
        pk = await jenny(gateway)
        receipt = await sent(gateway, pk)
        return receipt, await gateway.find_dm(pk, "job_x:1", None, 1000)

    receipt, found = harness.run(steps)
    assert receipt == found
    _, dm = harness.fake_instagram.dms()
    assert (dm["kind"], dm["client_context"]) == ("photo", receipt.client_context)
    (upload,) = harness.fake_instagram.uploads()
    assert base64.b64decode(upload["content"]) == JPEG


def test_where_nothing_was_sent_nothing_is_found(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[DmReceipt | None, ...]:
        pk = await jenny(gateway)
        before = await gateway.find_dm(pk, "job_x:1", None, 60_000)
        await sent(gateway, pk, "job_other:1")
        return before, await gateway.find_dm(pk, "job_x:1", None, 60_000)

    assert harness.run(steps) == (None, None)


def test_there_is_no_thread_with_a_stranger(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> str | None:
        pk = (await gateway.resolve("some.handle")).pk
        return await gateway.call(partial(photos.thread_with, pk=pk))

    assert harness.run(steps) is None


def test_the_upload_and_the_write_have_connections_of_their_own_through_the_proxy(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an environment that names a proxy nobody asked for
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    async def steps(gateway: Gateway) -> None:
        pk = await jenny(gateway)
        for number in range(2):
            await sent(gateway, pk, f"job_{number}:1")

    harness.run(steps)
    of = ("rupload_photo", "broadcast_photo")
    calls = [each for each in harness.fake_instagram.log() if each["call"] in of]
    assert len({each["connection"] for each in calls}) == len(calls) == 4
    assert None not in {each["connection"] for each in calls}
    hosts = [each["host"] for each in harness.fake_instagram.connects()]
    assert hosts.count("rupload.facebook.com") == 2


@pytest.mark.parametrize("step", ["upload", "send"])
def test_no_request_of_a_photo_begins_once_the_claim_is_in_doubt(
    harness: GatewayHarness, step: str
) -> None:
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
    calls = {each["call"] for each in harness.fake_instagram.log()}
    assert not calls & {"rupload_photo", "broadcast_photo"}


REFUSALS: dict[str, tuple[dict[str, Any], type[Exception], Outcome]] = {
    "server error": ({"status": 500}, ig.ClientUnknownError, Outcome.RETRY),
    "too many": ({"status": 429}, ig.ClientThrottledError, Outcome.BACK_OFF),
    "feedback": ({"error": "feedback_required"}, ig.FeedbackRequired, Outcome.BACK_OFF),
    "challenge": ({"error": "challenge_required"}, ig.ChallengeRequired, Outcome.PERSON),
    "refused": ({"status": 400}, ig.ClientError, Outcome.RETRY),
    "a way on": ({"status": 307, "location": "https://x.com/"}, ig.ClientError, Outcome.RETRY),
    "no number": ({"effect": "empty_ok"}, ig.ClientError, Outcome.RETRY),
    "no json": ({"effect": "not_json"}, ig.ClientError, Outcome.RETRY),
}  # fmt: skip


@pytest.mark.parametrize(("effect", "kind", "outcome"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_upload_is_judged_as_what_it_is(
    harness: GatewayHarness, effect: dict[str, Any], kind: type[Exception], outcome: Outcome
) -> None:
    harness.fake_instagram.fault("rupload_photo", **effect)

    async def steps(gateway: Gateway) -> None:
        await gateway.call(partial(photos.upload, jpeg=JPEG))

    with pytest.raises(kind) as refused:
        harness.run(steps)
    assert classify(refused.value, writing=False).outcome is outcome
    assert len(harness.fake_instagram.log("rupload_photo")) == 1


def test_a_session_that_ends_before_the_upload_is_renewed(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> str:
        await gateway.ensure_login()
        harness.fake_instagram.expire_session("shop")
        return await gateway.call(partial(photos.upload, jpeg=JPEG))

    assert harness.run(steps)
    assert harness.login_outcomes() == ["ok", "ok"]


def test_an_upload_that_the_proxy_refuses_is_the_proxy_s_fault(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        harness.fake_instagram.proxy_fault("407")
        await gateway.call(partial(photos.upload, jpeg=JPEG))

    with pytest.raises(Exception) as refused:
        harness.run(steps)
    verdict = classify(refused.value, writing=False)
    assert (verdict.outcome, verdict.code) == (Outcome.FIX_PROXY, "proxy_auth_required")


def test_a_photo_without_any_token_may_be_ours_and_one_with_another_s_is_not() -> None:
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
    found = dms_like(rows, sought, now_us // 1000 - 10_000)
    assert [each["item_id"] for each in found] == ["bare"]
