"""Odd replies about a thread: whether there is one, and what cannot be read is not missing."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from actors.instagram.gateway import Gateway
from deploy.local.instagram.client import FakeInstagram
from tests.support.gateway import GatewayHarness

TOKEN = "job_x:1"
ID = "340282366841710300949128171234567890123"


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


def serve(harness: GatewayHarness, body: dict[str, Any]) -> None:
    reply = {**body, "status": "ok"}
    harness.fake_instagram.fault("get_by_participants", times=None, status=200, body=reply)


#: Seen in aiograpi extractors.py (`thread_v2_id`), instagrapi issues 221 and 2146 (no inviter) and
#: dilame/instagram-private-api issue 1430 (no items).
THREADS: dict[str, tuple[dict[str, Any], bool]] = {
    "usual": ({"thread": {"thread_id": ID}}, True),
    "its other id only": ({"thread": {"thread_id": None, "thread_v2_id": "17"}}, True),
    "id as a number": ({"thread": {"thread_id": int(ID)}}, True),
    "no inviter, users or items": ({"thread": {"thread_id": ID, "inviter": None}}, True),
    "without an object of its own": ({"thread_id": ID, "items": []}, True),
    "no id": ({"thread": {"users": [], "items": []}}, True),
    "none": ({"users": []}, False),
    "null": ({"thread": None}, False),
    "empty": ({"thread": {}}, False),
    "an empty list": ({"thread": []}, False),
}


@pytest.mark.parametrize("name", THREADS)
def test_a_thread_is_noticed_whatever_else_the_reply_lacks(
    harness: GatewayHarness, name: str
) -> None:
    body, exists = THREADS[name]
    serve(harness, body)

    async def steps(gateway: Gateway) -> bool:
        return await gateway.has_thread("314159")

    assert harness.run(steps) is exists


@pytest.mark.parametrize(
    "body", [{"thread": {"items": []}}, {"thread": [{"thread_id": ID}]}, {"thread": "17"}]
)
def test_a_thread_that_cannot_be_read_does_not_count_as_without_the_dm(
    harness: GatewayHarness, body: dict[str, Any]
) -> None:
    # Given a DM that was stored
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.send_dm(pk, "Thank you!", TOKEN)
        serve(harness, body)
        # Then a verification fails, and does not report that there is no such DM
        with pytest.raises(LookupError):
            await gateway.find_dm(pk, TOKEN, "Thank you!", 9_000)

    harness.run(steps)
