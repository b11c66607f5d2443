"""What Instagram replies to a comment: of this post, of this text, of commenting."""

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
    rests,
)

_CLIENT: Final = "aiograpi 2.1.2, mixins/private.py"
_OFF: Final = "ohld/igbot pull request 785"
_GONE: Final = "dilame/instagram-private-api issue 885"
_STOPPED: Final = "subzeroid/instagrapi issue 2355"
_TITLE: Final = "mgp25/Instagram-API issue 2369"
_LIMITED: Final = "mgp25/Instagram-API issue 2373"
_SI: Final = "mgp25/Instagram-API issue 2652"
_HELP: Final = "the app's own wording, help.instagram.com, comments"

_DISABLED: Final = failed("comments_disabled")
_LIMIT: Final = failed("comments_limited")
_MISSING: Final = failed("media_unavailable")
_TURNED_OFF: Final = "somebody has turned off comments for this post."
_DELETED: Final = "The post you were viewing has been deleted."
_TITLED: Final = "Couldn't Post Your Comment"

ROWS: Final = (
    # The post
    Row(
        "turned off",
        "comment",
        400,
        feedback(_TURNED_OFF, "Commenting is Off", comments_disabled=True),
        _DISABLED,
        _OFF,
    ),
    Row("turned off, in words", "comment", 403, fail(_TURNED_OFF), _DISABLED, _OFF),
    Row(
        "turned off, in a 200",
        "comment",
        200,
        {"comments_disabled": True, "status": "ok"},
        _DISABLED,
        _CLIENT,
    ),
    Row("a flag alone", "comment", 400, fail("feedback_required", comments_disabled=True),
        _DISABLED, _OFF),
    Row("closed", "comment", 400, fail("Comments are closed"), _DISABLED, _LIMITED),
    Row("limited", "comment", 400, fail("Comments on this post have been limited."), _LIMIT,
        _LIMITED),
    Row("limited, feedback", "comment", 400, feedback("Comments on this post are limited", _TITLED),
        _LIMIT, _LIMITED),
    Row("for followers", "comment", 400, fail("Only followers can comment on this post"), _LIMIT,
        _HELP),
    Row("for those they follow", "comment", 200,
        fail("Only people this account follows can comment"), _LIMIT, _HELP),
    Row("follow first", "comment", 403, fail("You must follow this account first."), _LIMIT, _HELP),
    Row("blocked", "comment", 400, fail("This user has blocked you"), _LIMIT, _HELP),
    Row(
        "deleted",
        "comment",
        400,
        feedback(_DELETED, _TITLED, comment_error_key="comment_media_does_not_exist"),
        _MISSING,
        _GONE,
    ),
    Row("deleted, 200", "comment", 200, feedback(_DELETED, _TITLED), _MISSING, _GONE),
    Row("photo deleted", "comment", 400, fail("Sorry, this photo has been deleted."), _MISSING,
        _CLIENT),
    Row("unavailable", "comment", 403, fail("Media is unavailable"), _MISSING, _CLIENT),
    Row("not found", "comment", 404, fail("Media not found"), failed("media_not_found"), _CLIENT),
    Row("no id", "comment", 400, fail("Invalid media_id"), failed("invalid_media_id"), _CLIENT),
    # The text
    Row(
        "guidelines",
        "comment",
        400,
        feedback("Your comment goes against our Community Guidelines.", _TITLED),
        CONTENT,
        _HELP,
    ),
    Row("a link", "comment", 400, feedback("Your comment contains a link.", _TITLED), CONTENT,
        _HELP),
    Row("the same again", "comment", 400, feedback("Duplicate comment", spam=True), CONTENT,
        "mgp25/Instagram-API issue 603"),
    Row("too many mentions", "comment", 400, fail("failed to mention"), CONTENT,
        "instagram4j/instagram4j issue 656"),
    Row("too long", "comment", 400, fail("Comment is too long"), failed("text_too_long"), _HELP),
    Row(
        "this comment only",
        "comment",
        400,
        fail("feedback_required", comment_error_key="comment_other", feedback_title=_TITLED),
        failed("comment_refused"),
        _GONE,
    ),
    # Commenting
    Row("unable", "comment", 400, fail("Unable to comment."), KIND_RESTS, _STOPPED),
    Row("unable, 403", "comment", 403, fail("Unable to comment"), KIND_RESTS, _STOPPED),
    Row("unable, 200", "comment", 200, fail("unable to post comment"), KIND_RESTS,
        "postaddictme/instagram-php-scraper issue 766"),
    Row("could not post", "comment", 400, fail("Couldn\u2019t post your comment"), KIND_RESTS,
        _TITLE),
    Row("a title alone", "comment", 400, fail("feedback_required", feedback_title=_TITLED),
        KIND_RESTS, _TITLE),
    Row(
        "integrity",
        "comment",
        400,
        feedback(
            "This action was blocked. Please try again later. We restrict certain content and"
            " actions to protect our community.",
            "Action Blocked",
            spam=True,
            comment_error_key="comment_si_blocked",
        ),
        KIND_RESTS,
        _SI,
    ),
    Row("nothing but feedback", "comment", 400, fail("feedback_required"), KIND_RESTS,
        "mgp25/Instagram-API issue 609"),
    Row("too fast", "comment", 400, feedback("You are commenting too fast"), KIND_RESTS, _HELP),
    Row("wait", "comment", 400, fail("Please wait a few minutes before you try again."),
        rests("please_wait"), _CLIENT),
    Row("unknown", "comment", 400, fail("No"), UNKNOWN, "subzeroid/instagrapi issue 525"),
    Row("unknown, 200", "comment", 200, fail("No"), UNKNOWN, _CLIENT),
)  # fmt: skip
