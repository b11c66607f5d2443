"""One account's gateway against the fake Instagram: the calls of a job."""

from __future__ import annotations

import pytest

from actors.instagram.gateway import Gateway
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.receipts import CommentReceipt, DmReceipt
from service.instagram.ids import InvalidIdentifier, media_pk
from tests.support.gateway import GatewayHarness, calls, log_in

POST = "3700000000000000001"


def test_a_dm_to_a_username_arrives_with_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> tuple[str, DmReceipt]:
        recipient = await gateway.resolve("jenny.rosen")
        assert recipient.username == "jenny.rosen"
        return recipient.pk, await gateway.send_dm(recipient.pk, "Thank you!", "job_x:1")

    pk, receipt = harness.run(steps)

    (dm,) = harness.fake_instagram.dms()
    assert (dm["recipient_pks"], dm["text"], dm["sender"]) == ([pk], "Thank you!", "shop")
    assert receipt == DmReceipt(dm["item_id"], dm["thread_id"], client_context_for("job_x:1"))
    assert dm["client_context"] == receipt.client_context


def test_a_comment_arrives_with_its_token(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> CommentReceipt:
        return await gateway.comment(media_pk(POST + "_123"), "Lovely!", "job_c:1")

    receipt = harness.run(steps)
    again = harness.run(steps)

    first, second = harness.fake_instagram.comments()
    assert (first["pk"], second["pk"]) == (receipt.comment_id, again.comment_id)
    assert first["text"] == "Lovely!"
    assert first["idempotence_token"] == second["idempotence_token"]


def test_a_pk_needs_no_call_and_a_username_of_digits_is_looked_up(harness: GatewayHarness) -> None:
    pk = harness.fake_instagram.add_user("123456")

    async def steps(gateway: Gateway) -> None:
        assert (await gateway.resolve("314159")).pk == "314159"
        assert (await gateway.resolve("@123456")).pk == pk

    harness.run(steps)
    assert calls(harness).count("usernameinfo") == 1


def test_an_invalid_recipient_is_rejected_without_a_call(harness: GatewayHarness) -> None:
    async def steps(gateway: Gateway) -> None:
        with pytest.raises(InvalidIdentifier):
            await gateway.resolve("no such name!")
        with pytest.raises(InvalidIdentifier):
            await gateway.send_dm("12,13", "hello", "job_x:1")

    harness.run(steps)
    assert calls(harness) == []


def test_the_private_api_uses_http_2(harness: GatewayHarness) -> None:
    harness.run(log_in)
    versions = {entry["call"]: entry["http_version"] for entry in harness.fake_instagram.log()}
    assert versions.pop("password_key") == "1.1"
    assert set(versions.values()) == {"2"}
