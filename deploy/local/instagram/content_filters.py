"""Content that Instagram refuses: the words or links of one message, not the action as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.local.instagram.refusal import Refusal, fail, feedback

Kind = Literal["dm", "comment"]
KINDS: Final[tuple[Kind, ...]] = ("dm", "comment")

_DM = "broadcast_text"
_RESTRICTED = (
    "We restrict certain content and actions to protect our community."
    " Tell us if you think we made a mistake."
)


def _blocked(call: str, title: str, message: str, **fields: Any) -> Refusal:
    return Refusal(feedback(title, message, spam=True, **fields), call, "FeedbackRequired")


CONTENT_REFUSALS: Final[Mapping[str, Refusal]] = {
    # mgp25/Instagram-API issue 698
    "content_blocked": _blocked(
        _DM,
        "Message Failed",
        "This message contains content that has been blocked by our security systems."
        f" {_RESTRICTED}",
        feedback_url="repute/report_problem/instagram_direct_v2_thread_create/",
        feedback_action="report_problem",
    ),
    # The words of Meta's own page for refused links (Facebook-For-OpenCart issue 330)
    "link_blocked": _blocked(
        _DM,
        "Message Failed",
        "Your message couldn't be shared, because this link goes against our Community Standards.",
    ),
    "link_blocked_plain": Refusal(
        fail(
            400,
            "Your message couldn't be shared, because this link goes against our Community"
            " Standards.",
        ),
        _DM,
        "UnknownError",
    ),
    # The shape of mgp25/Instagram-API issue 2932; the words are our assumption.
    "comment_guidelines": _blocked(
        "comment",
        "Couldn't Post Your Comment",
        "Your comment goes against our Community Guidelines.",
        comment_error_key="comment_content_blocked",
        feedback_required=True,
    ),
    # mgp25/Instagram-API issue 1552: the action is blocked, whatever the content
    "action_blocked": _blocked(
        _DM,
        "Sorry, this feature isn't available right now",
        f"An error occurred while processing this request. Please try again later. {_RESTRICTED}",
        feedback_url="repute/report_problem/instagram_direct/",
        feedback_action="report_problem",
    ),
    # instagrapi issue 281
    "action_blocked_until": _blocked(
        _DM,
        "Action Blocked",
        "We restrict certain activity to protect our community. Based on your use, this action"
        " will be unavailable for you until 2031-07-22. Tell us if you think we made a mistake.",
    ),
}


@dataclass(frozen=True)
class ContentFilter:
    """A piece of text that is refused.

    Parameters:
        contains: the text, in any case.
        refusal: the name of the refusal.
        kind: only DMs or only comments, if set.
        account: only this account's, if set.
    """

    contains: str
    refusal: str
    kind: Kind | None = None
    account: str | None = None

    def matches(self, kind: Kind, account: str, text: str) -> bool:
        """Whether it refuses this text."""
        return (
            self.kind in (None, kind)
            and self.account in (None, account)
            and self.contains.casefold() in text.casefold()
        )


def refusal_for(filters: list[ContentFilter], kind: Kind, account: str, text: str) -> str | None:
    """The refusal's name of the first filter that matches, or None."""
    return next((each.refusal for each in filters if each.matches(kind, account, text)), None)
