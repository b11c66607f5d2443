"""Instagram's replies to a session that is no longer valid, each in use at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deploy.local.instagram.refusal import Refusal, fail

_DM = "broadcast_text"
_WAIT = "Please wait a few minutes before you try again."

SESSION_ENDS: Final[Mapping[str, Refusal]] = {
    # mgp25/Instagram-API issue 1743 (reason 3), InstagramApiSharp issue 116 (reason 2)
    "login_required_bare": Refusal(
        fail(403, "login_required", logout_reason=3), _DM, "LoginRequired"
    ),
    "login_required_400": Refusal(
        fail(
            400,
            "login_required",
            error_title="You've Been Logged Out",
            error_body="Please log back in.",
            logout_reason=2,
        ),
        _DM,
        "UnknownError",
    ),
    "login_required_200": Refusal(fail(200, "login_required"), _DM, "ClientStatusFail"),
    # dilame/instagram-private-api, src/core/request.ts: at any status
    "user_has_logged_out": Refusal(
        fail(403, "user_has_logged_out", logout_reason=9), _DM, "ClientForbiddenError"
    ),
    "user_has_logged_out_400": Refusal(fail(400, "user_has_logged_out"), _DM, "UnknownError"),
    # Osintgram issues 1095 and 1099
    "require_login": Refusal(fail(401, _WAIT, require_login=True), _DM, "PleaseWaitFewMinutes"),
    # obitouka/InstagramPrivSniffer issue 41
    "require_login_web": Refusal(
        fail(401, _WAIT, require_login=True, igweb_rollout=True), _DM, "PleaseWaitFewMinutes"
    ),
}
