"""Replies of an Instagram that is overloaded, broken, or not the one that was meant.

`Retry-After` follows RFC 9110, 10.2.3: seconds, or a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deploy.local.instagram.http import Reply
from deploy.local.instagram.refusal import Refusal, fail, item_ack

_DM = "broadcast_text"
_WAIT = "Please wait a few minutes before you try again."


def _html(status: int, title: str, *headers: tuple[str, str]) -> Reply:
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body></body></html>"
    return Reply(status, headers=headers, content=page.encode())


OUTAGES: Final[Mapping[str, Refusal]] = {
    "throttled_retry_after": Refusal(
        Reply(429, {"status": "fail"}, (("retry-after", "120"),)), _DM, "ClientThrottledError"
    ),
    "throttled_page": Refusal(
        _html(429, "Page Not Found", ("retry-after", "60")), _DM, "ClientThrottledError"
    ),
    "unavailable_retry_after": Refusal(
        _html(503, "Service Unavailable", ("retry-after", "30")), _DM, "ClientUnknownError"
    ),
    "gateway_timeout": Refusal(_html(504, "Gateway Timeout"), _DM, "ClientUnknownError"),
    # "Please wait" in a success (Osintgram issue 1053 has it in a 400)
    "please_wait_200": Refusal(fail(200, _WAIT), _DM, "ClientStatusFail"),
    "please_wait_400": Refusal(
        fail(400, _WAIT, error_type="rate_limit_error"), _DM, "PleaseWaitFewMinutes"
    ),
    "please_wait_403": Refusal(fail(403, _WAIT), _DM, "PleaseWaitFewMinutes"),
    # aiograpi, mixins/private.py: b"Not Found" is taken for a challenge
    "bare_not_found": Refusal(Reply(404, content=b"Not Found"), "media_info", "ChallengeRequired"),
    # danleyb2/Instagram-API issue 52
    "not_found_page": Refusal(_html(404, "Page Not Found"), "media_info", "MediaNotFound"),
    "forbidden_page": Refusal(_html(403, "Forbidden"), _DM, "ClientForbiddenError"),
    # dilame/instagram-private-api issue 1024
    "permission_denied": Refusal(fail(403, "Permission Denied"), _DM, "ClientForbiddenError"),
    "login_page": Refusal(_html(200, "Login • Instagram"), _DM, "ClientJSONDecodeError"),
    # The client searches `message` for words and trips over null.
    "null_message": Refusal(Reply(400, {"message": None, "status": "fail"}), _DM, "TypeError"),
    "null_message_200": Refusal(
        Reply(200, {"message": None, "status": "fail"}), _DM, "ClientStatusFail"
    ),
    "item_ack_400": Refusal(item_ack(400, "Bad request"), _DM, "ClientBadRequestError"),
    # The acknowledgement alone says that it failed.
    "item_ack_400_ok": Refusal(
        Reply(
            200,
            {
                "action": "item_ack",
                "status_code": "400",
                "payload": {"message": "Bad request"},
                "status": "ok",
            },
        ),
        _DM,
        "KeyError",
    ),
    "item_ack_500": Refusal(item_ack(500, "Internal error"), _DM, "ClientUnknownError"),
}
