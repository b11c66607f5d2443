"""Searching for a write whose reply was lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiograpi import exceptions as ig

from actors.instagram.errors import Outcome, classify
from actors.instagram.gateway import Gateway
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.receipts import CommentReceipt, DmReceipt
from tests.support.gateway import GatewayHarness

POST = "3700000000000000001"


def test_a_dm_whose_reply_was_lost_is_found_by_its_token(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        await gateway.ensure_login()
        assert await gateway.find_dm(pk, "job_x:1", "Hello", 0) is None
        harness.fake_instagram.fault("broadcast_text", "drop_after")
        with pytest.raises(ig.ClientError) as raised:
            await gateway.send_dm(pk, "Hello", "job_x:1")
        decision = classify(raised.value, writing=True)
        assert (decision.outcome, decision.ambiguous) == (Outcome.VERIFY, True)
        (dm,) = harness.fake_instagram.dms()
        found = await gateway.find_dm(pk, "job_x:1", "Hello", 0)
        assert found == DmReceipt(dm["item_id"], dm["thread_id"], dm["client_context"])
        context = client_context_for("job_x:1")
        assert await gateway.find_dm(pk, context, "Hello", 0) == found
        assert await gateway.find_dm(pk, "job_y:1", "Hello", 0) is None

    harness.run(steps)


def test_a_dm_with_a_link_is_found_too(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        sent = await gateway.send_dm(pk, "See https://example.com/a", "job_x:1")
        assert await gateway.find_dm(pk, "job_x:1", "See https://example.com/a", 0) == sent

    harness.run(steps)


def test_a_dm_is_found_on_a_later_page(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        sent = await gateway.send_dm(pk, "first", "job_first:1")
        for n in range(22):
            await gateway.send_dm(pk, f"later {n}", f"job_{n}:1")
        assert await gateway.find_dm(pk, "job_first:1", "first", 0) == sent

    harness.run(steps)


def test_a_comment_whose_reply_was_lost_is_found(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        assert await gateway.find_comment(POST, "Lovely!", 0) is None
        harness.fake_instagram.fault("comment", "drop_after")
        with pytest.raises(ig.ClientError):
            await gateway.comment(POST, "Lovely!", "job_c:1")
        for n in range(22):
            await gateway.comment(POST, f"later {n}", f"job_{n}:1")
        (first, *_) = harness.fake_instagram.comments()
        found = await gateway.find_comment(POST, "Lovely!", 60_000)
        assert found == CommentReceipt(first["pk"])
        assert await gateway.find_comment(POST, "Lovely!", -3_600_000) is None

    harness.run(steps)


@pytest.mark.parametrize("offset", [-300, -5, 5, 300])
def test_writes_are_found_when_instagrams_clock_differs(
    harness: GatewayHarness, offset: int
) -> None:
    harness.fake_instagram.shift_clock(offset)
    pk = harness.fake_instagram.add_user("somebody")

    async def steps(gateway: Gateway) -> None:
        # Given a DM on a later page, and a comment
        dm = await gateway.send_dm(pk, "Hello", "job_x:1")
        for n in range(22):
            await gateway.send_dm(pk, f"later {n}", f"job_{n}:1")
        comment = await gateway.comment(POST, "Lovely!", "job_c:1")
        # Then they are found, but not for an intent that is recorded only later
        assert await gateway.find_dm(pk, "job_x:1", "Hello", 2_000) == dm
        assert await gateway.find_comment(POST, "Lovely!", 0) == comment
        assert await gateway.find_comment(POST, "Lovely!", -20_000) is None

    harness.run(steps)


def test_a_comment_owned_by_another_job_is_not_found(harness: GatewayHarness) -> None:
    asked: list[str] = []

    async def steps(gateway: Gateway) -> None:
        first = await gateway.comment(POST, "Lovely!", "job_a:1")
        second = await gateway.comment(POST, "Lovely!", "job_b:1")

        async def others(ids: Sequence[str]) -> set[str]:
            asked.extend(ids)
            return {entry for entry in ids if entry != second.comment_id}

        assert await gateway.find_comment(POST, "Lovely!", 9_000) == first
        assert await gateway.find_comment(POST, "Lovely!", 9_000, others) == second
        assert asked == [second.comment_id, first.comment_id]

    harness.run(steps)
