from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall, hash_of
from service.redis.decoding import decode_fields


class ClaimedDelivery(NamedTuple):
    """A claimed delivery.

    Parameters:
      fence: Number of this claim: an older one can change nothing any more.
      fields: The record.
      payload: The frozen bytes.
    """

    fence: int
    fields: Mapping[str, str]
    payload: bytes


def claim_delivery(delivery_id: str, owner: str) -> ScriptCall[ClaimedDelivery | None]:
    """Claim a delivery that is due (claim_delivery.lua); None if there is nothing to do now."""
    return ScriptCall("claim_delivery", (delivery_id, owner), _claimed)


def _claimed(reply: list[Any]) -> ClaimedDelivery | None:
    verdict, fence, flat, payload = reply
    if verdict == b"none":
        return None
    return ClaimedDelivery(fence, decode_fields(hash_of(flat)), payload)
