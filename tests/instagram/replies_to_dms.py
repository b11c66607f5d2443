"""What Instagram replies to a DM that this recipient, or this text, keeps from arriving."""

from __future__ import annotations

from typing import Final

from tests.instagram.reply_rows import (
    CONTENT,
    KIND_RESTS,
    UNKNOWN,
    Row,
    fail,
    failed,
    feedback,
    item_ack,
)

_CLIENT: Final = "aiograpi 2.1.2, mixins/private.py"
_PULL: Final = "subzeroid/instagrapi pull request 2585"
_SETTINGS: Final = "subzeroid/instagrapi issue 1240"
_WRONG: Final = "subzeroid/instagrapi issue 1890"
_BLOCKED: Final = "mgp25/Instagram-API issue 1756"
_SECURITY: Final = "mgp25/Instagram-API issue 698"
_UNAVAILABLE: Final = "mgp25/Instagram-API issue 1552"
_LIKES: Final = "dilame/instagram-private-api issue 737"
_THREAD: Final = "mgp25/Instagram-API issue 1248"
_HELP: Final = "the app's own wording, help.instagram.com, messages and requests"

_REFUSES: Final = failed("messages_refused")
_NO_REQUESTS: Final = failed("message_requests_disabled")
_APP: Final = "This may be due to their app version or other settings. Client context:"
_PROTECT: Final = "We restrict certain content and actions to protect our community."
_SECURITY_WORDS: Final = (
    "This message contains content that has been blocked by our security systems. " + _PROTECT
)
_NEW_REQUESTS: Final = (
    "This person can't receive your message because they don't allow new message requests."
)
_UNLESS: Final = "You can't message this account unless they follow you."

RECIPIENTS: Final = (
    Row("app or settings", "dm", 403, item_ack(_APP, status="fail"), _REFUSES, _SETTINGS),
    Row("app or settings, without fail", "dm", 403, item_ack(_APP), _REFUSES, _SETTINGS),
    Row("app or settings, in a 200", "dm", 200, item_ack(_APP), _REFUSES, _SETTINGS),
    Row("in a 200 that is ok", "dm", 200, item_ack(_APP, status="ok"), _REFUSES, _SETTINGS),
    Row("code a number", "dm", 200, item_ack(_APP, 400, status="ok"), _REFUSES, _SETTINGS),
    Row(
        "code in the payload",
        "dm",
        200,
        {"status": "ok", "payload": {"status_code": "403", "message": _APP}},
        _REFUSES,
        _SETTINGS,
    ),
    Row("their settings, plain", "dm", 400, fail(_APP), _REFUSES, _SETTINGS),
    Row("no requests", "dm", 400, fail(_NEW_REQUESTS), _NO_REQUESTS, _CLIENT),
    Row("no requests at 403", "dm", 403, fail(_NEW_REQUESTS), _NO_REQUESTS, _CLIENT),
    Row("no requests in an ack", "dm", 403, item_ack(_NEW_REQUESTS), _NO_REQUESTS, _CLIENT),
    Row("no requests in a 200", "dm", 200, fail(_NEW_REQUESTS), _NO_REQUESTS, _CLIENT),
    Row(
        "typographic quotes",
        "dm",
        400,
        fail("This account doesn\u2019t allow new  message\nrequests"),
        _NO_REQUESTS,
        _CLIENT,
    ),
    Row("unless they follow", "dm", 400, fail(_UNLESS), _NO_REQUESTS, _PULL),
    Row("unless they follow, ack", "dm", 403, item_ack(_UNLESS), _NO_REQUESTS, _PULL),
    Row(
        "not everyone",
        "dm",
        403,
        item_ack("Not everyone can message this account."),
        _REFUSES,
        _HELP,
    ),
    Row("not everyone, 400", "dm", 400, fail("Not everyone can message them"), _REFUSES, _HELP),
    Row("follow first", "dm", 400, fail("You must follow this account first."), _REFUSES, _HELP),
    Row("cannot message", "dm", 400, fail("You can't message this account."), _REFUSES, _HELP),
    Row("cannot send", "dm", 403, fail("You cannot send messages to this user"), _REFUSES, _HELP),
    Row(
        "no messages taken",
        "dm",
        400,
        fail("This user is not accepting messages right now."),
        _REFUSES,
        _HELP,
    ),
    Row("blocked user", "dm", 403, fail("User is blocked"), _REFUSES, _HELP),
    Row("blocked, for programs", "dm", 400, fail("x", error_type="user_blocked"), _REFUSES, _HELP),
    Row("thread closed", "dm", 404, fail("This thread is unavailable"), _REFUSES, _HELP),
    Row("recipient gone", "dm", 400, item_ack("Recipient unavailable", "404"), _REFUSES, _HELP),
    Row(
        "only their followers",
        "dm",
        400,
        fail("Only people they follow can message this account"),
        _REFUSES,
        _HELP,
    ),
    Row(
        "invitation not accepted",
        "dm",
        400,
        fail("You can send more messages after your invite is accepted."),
        failed("message_request_pending"),
        _HELP,
    ),
    Row("no thread", "dm", 400, fail("Thread does not exist"), failed("thread_not_found"), _THREAD),
    Row("no thread, 404", "dm", 404, fail("Thread not found"), failed("thread_not_found"), _CLIENT),
    Row(
        "no such target",
        "dm",
        400,
        fail("Invalid target user"),
        failed("invalid_target_user"),
        _CLIENT,
    ),
    Row(
        "explained for clients",
        "dm",
        400,
        {"status": "fail", "message": None, "client_facing_error_message": _UNLESS},
        _NO_REQUESTS,
        "dilame/instagram-private-api, src/errors, and " + _PULL,
    ),
    Row("in a list", "dm", 400, fail(["no", _NEW_REQUESTS]), _NO_REQUESTS, _CLIENT),
    Row("in an object", "dm", 400, fail({"errors": [_NEW_REQUESTS]}), _NO_REQUESTS, _CLIENT),
    Row("as content", "dm", 400, fail(7, content=_NEW_REQUESTS), _NO_REQUESTS, _CLIENT),
)

TEXTS: Final = (
    Row(
        "blocked content",
        "dm",
        400,
        feedback(_SECURITY_WORDS, "Message Failed", spam=True),
        CONTENT,
        _SECURITY,
    ),
    Row("blocked content, 200", "dm", 200, feedback(_SECURITY_WORDS), CONTENT, _SECURITY),
    Row("blocked content, ack", "dm", 403, item_ack(_SECURITY_WORDS), CONTENT, _SECURITY),
    Row(
        "guidelines",
        "dm",
        400,
        feedback("Your message goes against our Community Guidelines."),
        CONTENT,
        _HELP,
    ),
    Row("a link", "dm", 400, feedback("Links are not allowed."), CONTENT, _HELP),
    Row("a harmful link", "dm", 403, fail("This URL has been blocked"), CONTENT, _HELP),
    Row("spam", "dm", 400, feedback("This looks like spam.", spam=True), CONTENT, _HELP),
    Row("too long", "dm", 400, fail("Message is too long"), failed("text_too_long"), _HELP),
    Row(
        "too many characters",
        "dm",
        400,
        item_ack("Text must be at most 1000 characters", "400"),
        failed("text_too_long"),
        "igdmapps/igdm pull request 1131",
    ),
)

BLOCKS: Final = (
    Row(
        "action blocked",
        "dm",
        400,
        feedback(
            "This action was blocked. Please try again later. " + _PROTECT,
            "Action Blocked",
            spam=True,
        ),
        KIND_RESTS,
        _BLOCKED,
    ),
    Row("nothing but feedback", "dm", 400, fail("feedback_required"), KIND_RESTS, _BLOCKED),
    Row("feedback at 403", "dm", 403, fail("feedback_required"), KIND_RESTS, _BLOCKED),
    Row("feedback in a 200", "dm", 200, fail("feedback_required"), KIND_RESTS, _BLOCKED),
    Row("feedback in an ack", "dm", 400, item_ack("feedback_required"), KIND_RESTS, _BLOCKED),
    Row(
        "feature unavailable",
        "dm",
        400,
        feedback("An error occurred.", "Sorry, this feature isn't available right now"),
        KIND_RESTS,
        _UNAVAILABLE,
    ),
    Row(
        "blocked for a time",
        "dm",
        400,
        feedback(
            "Your account has been temporarily blocked from taking this action. Sharing your"
            " account goes against our Community Guidelines. This block will expire on 2019-05-06."
        ),
        KIND_RESTS,
        _LIKES,
    ),
    Row("not right now", "dm", 403, item_ack("You can't message right now"), KIND_RESTS, _HELP),
)

UNKNOWN_WORDS: Final = (
    Row(
        "went wrong",
        "dm",
        403,
        item_ack("We're sorry, but something went wrong. Please try again.", status="fail"),
        UNKNOWN,
        _WRONG,
    ),
    Row("went wrong, in a 200", "dm", 200, item_ack("something went wrong"), UNKNOWN, _WRONG),
    Row("unknown at 400", "dm", 400, fail("Something went wrong"), UNKNOWN, _CLIENT),
    Row("unknown at 404", "dm", 404, fail("Not here"), UNKNOWN, _CLIENT),
    Row("unknown at 403", "dm", 403, fail("Forbidden"), UNKNOWN, _CLIENT),
    Row("unknown at 422", "dm", 422, fail("No"), UNKNOWN, _CLIENT),
    Row("unknown in a 200", "dm", 200, fail("Try again later"), UNKNOWN, _CLIENT),
    Row("null", "dm", 400, fail(None), UNKNOWN, _CLIENT),
    Row("null in a 200", "dm", 200, fail(None), UNKNOWN, _CLIENT),
    Row("nothing", "dm", 405, fail(""), UNKNOWN, "LevPasha/Instagram-API-python issue 753"),
    Row("a number", "dm", 403, fail(17), UNKNOWN, _CLIENT),
    Row("an empty list", "dm", 403, fail([]), UNKNOWN, _CLIENT),
    Row("clashing keys", "dm", 400, fail("No", response=1, code="x", self=2), UNKNOWN, _CLIENT),
    Row("clashing keys, 403", "dm", 403, fail("No", response=1, args=3), UNKNOWN, _CLIENT),
    Row("no users named", "dm", 400, fail("Need to specify thread ID or recipient users"), UNKNOWN,
        "mgp25/Instagram-API issue 2409"),
)  # fmt: skip

ROWS: Final = (*RECIPIENTS, *TEXTS, *BLOCKS, *UNKNOWN_WORDS)
