"""Replies that contradict themselves, quote others, or have another shape than Instagram's.

Most are made up: combinations of shapes and words that were each seen at the places which the rows
of the other tables name.
"""

from __future__ import annotations

from typing import Any, Final

from tests.instagram.reply_rows import (
    DOUBT,
    FOUND,
    KIND_RESTS,
    UNKNOWN,
    Expected,
    Row,
    fail,
    failed,
    feedback,
)

_MADE_UP: Final = "made up"
_SESSIONS: Final = "made up of a session's end and a server's failure"
_NOT_SENT: Final = failed("server_error", writes=0)
_WAIT: Final = "Please wait, we send it today"
_ACKNOWLEDGED: Final[dict[str, Any]] = {
    "action": "item_ack",
    "status_code": "200",
    "payload": {"client_context": "68", "item_id": "300", "thread_id": "340", "message": _WAIT},
}

FAILURES: Final = (
    Row("500, session over", "comment", 500, fail("login_required"), FOUND, _SESSIONS, stored=True),
    Row("503, session over", "dm", 503, fail("login_required"), DOUBT, _SESSIONS),
    Row("408, logged out", "dm", 408, fail("user_has_logged_out"), FOUND, _SESSIONS, stored=True),
    Row("500, wait", "dm", 500, fail("Please wait a few minutes"), DOUBT, _SESSIONS),
    Row("500, session over, read", "profile", 500, fail("login_required"), _NOT_SENT, _SESSIONS),
    Row("500, blocked, read", "thread", 500, fail("User is blocked"), _NOT_SENT, _SESSIONS),
)

QUOTES: Final = (
    Row("quoted", "dm", 400, fail('"login_required" is not a name'), UNKNOWN, _MADE_UP),
    Row("mentioned", "dm", 400, fail("Cannot find @login_required"), UNKNOWN, _MADE_UP),
    Row("a name", "dm", 400, fail("User please_wait.shop does not exist"),
        failed("user_not_found"), _MADE_UP),
    Row("a link", "dm", 400, fail("https://x.example/feedback_required failed"), UNKNOWN, _MADE_UP),
    Row("no longer quoted", "dm", 400, feedback("Diese Aktion wurde blockiert"), KIND_RESTS,
        _MADE_UP),
    Row("acknowledged, with words", "dm", 200, _ACKNOWLEDGED,
        Expected("succeeded", "", writes=1), _MADE_UP, stored=True),
)  # fmt: skip

SHAPES: Final = (
    Row("a list", "dm", 200, "[]", DOUBT, _MADE_UP),
    Row("a number", "dm", 200, "7", DOUBT, _MADE_UP),
    Row("null", "dm", 200, "null", DOUBT, _MADE_UP),
    Row("empty", "dm", 200, "", DOUBT, _MADE_UP),
    Row("deep", "dm", 200, '{"a":' * 5000 + "1" + "}" * 5000, DOUBT, _MADE_UP),
    Row("no comment", "comment", 200, {"comment": None, "status": "ok"}, DOUBT, _MADE_UP),
    Row("a text for a comment", "comment", 200, {"comment": "x", "status": "ok"}, DOUBT, _MADE_UP),
    Row("fail in blanks", "dm", 200, {"status": " fail ", "message": "x"}, UNKNOWN, _MADE_UP),
    Row("gone", "dm", 410, "<html>", DOUBT, _MADE_UP),
    Row("a conflict", "dm", 409, fail("conflict"), UNKNOWN, _MADE_UP),
    Row("flags that are not set", "dm", 400, fail("x", challenge=False, spam=False), UNKNOWN,
        _MADE_UP),
    Row("a hotspot's login", "dm", 302, "", DOUBT, _MADE_UP,
        {"location": "https://hotspot.example/accounts/login/"}),
    Row("blocked, at a lookup", "lookup", 400, fail("User is blocked"),
        failed("refused_unclear", writes=0), _MADE_UP),
)  # fmt: skip

ROWS: Final = (*FAILURES, *QUOTES, *SHAPES)
