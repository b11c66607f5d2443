"""Who may comment on a post, which comments are shown, and Instagram's replies to the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.local.instagram.refusal import Refusal, fail, feedback

#: Who sees a comment: Instagram shows one that it hides, that waits for approval, or that a
#: restricted account wrote, to its author alone (Help Center, "Restrict" and "Hidden comments").
Audience = Literal["everyone", "author"]


@dataclass(frozen=True)
class CommentSetting:
    """A post's setting.

    Parameters:
        refusal: the refusal's name; None when the comment is stored.
        followers_only: refuse only those whom the post's owner does not follow back.
        audience: who sees a stored comment.
    """

    refusal: str | None = None
    followers_only: bool = False
    audience: Audience = "everyone"


COMMENT_SETTINGS: Final[Mapping[str, CommentSetting]] = {
    "open": CommentSetting(),
    "off": CommentSetting("comments_off"),
    "limited": CommentSetting("comments_limited"),
    "followers": CommentSetting("comments_limited", followers_only=True),
    "hidden": CommentSetting(audience="author"),
    "held_for_review": CommentSetting(audience="author"),
    "deleted": CommentSetting("comment_post_deleted"),
}

_COMMENT = "comment"
_TITLE = "Couldn't Post Your Comment"


def _about_comment(key: str, message: str, **fields: Any) -> Refusal:
    reply = feedback(_TITLE, message, comment_error_key=key, feedback_required=True, **fields)
    return Refusal(reply, _COMMENT, "FeedbackRequired")


COMMENT_REFUSALS: Final[Mapping[str, Refusal]] = {
    # ohld/igbot PR 785. The client names only the 200 of `comments_disabled` CommentsDisabled.
    "comments_off": Refusal(
        feedback(
            "Commenting is Off",
            "The shop has turned off comments for this post.",
            comments_disabled=True,
            feedback_required=True,
        ),
        _COMMENT,
        "FeedbackRequired",
    ),
    # Title as in mgp25/Instagram-API issues 2369 and 2373; words as public guides quote them
    "comments_limited": _about_comment(
        "comment_generic", "Comments on this post have been limited"
    ),
    # mgp25/Instagram-API issue 2932, dilame/instagram-private-api issue 885
    "comment_post_deleted": _about_comment(
        "comment_media_does_not_exist", "The post you were viewing has been deleted."
    ),
    # instagrapi issue 2355: after some 14 comments, and in the app as well
    "unable_to_comment": Refusal(fail(400, "Unable to comment."), _COMMENT, "UnknownError"),
    # postaddictme/instagram-php-scraper issue 766
    "unable_to_post_comment": Refusal(
        fail(400, "Unable to post comment."), _COMMENT, "UnknownError"
    ),
    # The kind of action is blocked, not this comment; the key is from public collections of errors.
    "comment_blocked": Refusal(
        feedback(
            "Action Blocked",
            "This action was blocked. Please try again later. We restrict certain content and"
            " actions to protect our community. Tell us if you think we made a mistake.",
            comment_error_key="comment_si_blocked",
            spam=True,
            feedback_url="repute/report_problem/instagram_comment/",
            feedback_action="report_problem",
        ),
        _COMMENT,
        "FeedbackRequired",
    ),
    # jlobos/instagram-web-api issue 36
    "comment_media_deleted": Refusal(
        fail(400, "Sorry, this media has been deleted."), _COMMENT, "MediaUnavailable"
    ),
}
