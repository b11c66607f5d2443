"""Replies that leave open whether a write arrived, and what the reads before it may reply."""

from __future__ import annotations

from typing import Final

from tests.instagram.reply_rows import (
    DOUBT,
    FOUND,
    Expected,
    Row,
    before_the_write,
    fail,
    failed,
    item_ack,
)

_CLIENT: Final = "aiograpi 2.1.2, mixins/private.py"
_LOST: Final = "subzeroid/instagrapi issue 1305"
_LINKS: Final = "dilame/instagram-private-api issue 1069"
_PAGE: Final = "danleyb2/Instagram-API issue 52"
_OK: Final = {"status": "ok"}
_HTML: Final = "<!doctype html><title>Instagram</title>"

WRITES: Final = (
    Row("500", "dm", 500, fail("Oops, an error occurred."), DOUBT, _LOST),
    Row("500, stored", "dm", 500, fail("Oops, an error occurred."), FOUND, _LOST, stored=True),
    Row("500, of a comment", "comment", 500, fail("no"), DOUBT, _LINKS),
    Row("500, of a stored comment", "comment", 500, fail("no"), FOUND, _LINKS, stored=True),
    Row("500 with words", "dm", 500, fail("User is blocked"), DOUBT, _LOST),
    Row("502", "dm", 502, "<html>Bad Gateway</html>", DOUBT, _LOST),
    Row("503, stored", "dm", 503, "", FOUND, _LOST, stored=True),
    Row("504", "comment", 504, "", DOUBT, _LOST),
    Row("408", "dm", 408, fail("timeout"), DOUBT, _CLIENT),
    Row("408, stored", "dm", 408, "", FOUND, _CLIENT, stored=True),
    Row("500 in an ack", "dm", 200, item_ack("no", "500"), DOUBT, _CLIENT),
    Row("500 in an ack, stored", "dm", 200, item_ack("no", 500), FOUND, _CLIENT, stored=True),
    Row("a page at 403", "dm", 403, _HTML, DOUBT, _PAGE),
    Row("a page at 403, stored", "dm", 403, _HTML, FOUND, _PAGE, stored=True),
    Row("a page at 400", "comment", 400, _HTML, DOUBT, _PAGE),
    Row("a page at 401", "dm", 401, _HTML, DOUBT, _PAGE),
    Row("nothing at 404", "dm", 404, "", DOUBT, _PAGE),
    Row("nothing at 404, stored", "dm", 404, "Not Found", FOUND, _PAGE, stored=True),
    Row("another's JSON", "dm", 403, {"error": "denied"}, DOUBT, _PAGE),
    Row("a list at 403", "dm", 403, "[]", DOUBT, _CLIENT),
    Row("nothing at 400", "dm", 400, "", DOUBT, "subzeroid/instagrapi issue 525"),
    Row("ok without an id", "dm", 200, _OK, DOUBT, _CLIENT),
    Row("ok without an id, stored", "dm", 200, _OK, FOUND, _CLIENT, stored=True),
    Row("ok without a comment", "comment", 200, _OK, FOUND, _CLIENT, stored=True),
    Row("a page at 200", "dm", 200, _HTML, DOUBT, _CLIENT),
    Row("half of it", "dm", 200, '{"payload": {"item', FOUND, _CLIENT, stored=True),
    Row("elsewhere", "dm", 302, "", DOUBT, _CLIENT, {"location": "https://x.com/"}),
    Row("elsewhere, stored", "dm", 307, "", FOUND, _CLIENT, {"location": "/"}, stored=True),
)

_NO_USER: Final = failed("user_not_found", writes=0)
_UNKNOWN: Final = failed("refused_unclear", writes=0)
_FAILURE: Final = failed("server_error", writes=0)

READS: Final = (
    Row("no user", "profile", 404, fail("User not found"), _NO_USER, _CLIENT),
    Row("no user, 400", "profile", 400, fail("user_not_found"), _NO_USER, _CLIENT),
    Row("no user at a lookup", "lookup", 404, fail("User not found"), _NO_USER, _CLIENT),
    Row("no user info", "profile", 400, fail("Error generating user info response"), _NO_USER,
        _CLIENT),
    Row("private", "profile", 400, fail("Not authorized to view user"),
        failed("private_account", writes=0), _CLIENT),
    Row("adults only", "profile", 200, fail("This account is restricted by age."),
        failed("age_restricted", writes=0), _CLIENT),
    Row("restricted, not by age", "profile", 200, fail("This action is restricted."), _UNKNOWN,
        _CLIENT),
    Row("unknown words", "profile", 403, fail("No"), _UNKNOWN, _CLIENT),
    Row("unknown words at a lookup", "lookup", 400, fail("No"), _UNKNOWN, _CLIENT),
    Row("unknown words at a thread", "thread", 403, fail(None), _UNKNOWN, _CLIENT),
    Row("refused at a thread", "thread", 403, fail("User is blocked"),
        failed("messages_refused", writes=0), _CLIENT),
    Row("a thread's ack", "thread", 200, item_ack("No", "403"), _UNKNOWN, _CLIENT),
    Row("500", "profile", 500, fail("Oops, an error occurred."), _FAILURE, _LOST),
    Row("502 at a thread", "thread", 502, "", _FAILURE, _LOST),
    Row("503 at a lookup", "lookup", 503, "", _FAILURE, _LOST),
    Row("feedback at a lookup", "lookup", 400, fail("feedback_required"),
        before_the_write(Expected("waiting", "feedback_required", "kind")),
        "mgp25/Instagram-API issue 1552"),
)  # fmt: skip

ROWS: Final = (*WRITES, *READS)
