"""The words of the table: what each policy is recognized by, and what must not be mistaken."""

from __future__ import annotations

from typing import Final

import pytest

from actors.instagram.reply import Reply
from actors.instagram.reply_policies import policy_for_words

#: By code; `unknown` are words that may mean anything.
SAID: Final[dict[str, tuple[str, ...]]] = {
    "messages_refused": (
        "Messages from strangers are disabled by this user",
        "Recipient has blocked the sender",
        "user_not_messageable",
        "You don't have permission to message this account",
        "This account has restricted you",
        "This user isn't available to chat.",
        "You can't message @some.handle",
        "This account can't be messaged.",
        "You can't message this person.",
        "You can't message jenny.rosen because they only take messages from friends",
        "This person isn't receiving messages right now",
        "This user doesn't accept direct messages from people they don't follow",
        "This user has restricted messages",
        "User has disabled messaging",
        "You're not allowed to message this user",
        "Unable to send message to this user",
        "Cannot send message to user",
        "Only accounts they follow can send them messages",
        "This account only allows messages from people they follow",
        "Follow this account to message them",
        "You cannot message this account because of their privacy settings.",
        "This account is private and does not accept messages",
        "You can't start a conversation with this user",
        "User not reachable",
        "You've been blocked by this user",
        "You are blocked by the recipient",
        "Your message could not be delivered because the recipient has blocked you",
        "You must be following this account to send messages",
        "This account can't receive messages",
        "You can't reply to this conversation",
        "Not everybody can message this account",
        "This user only accepts messages from followers",
    ),
    "message_requests_disabled": (
        "Message requests are not accepted by this user",
        "This person can't receive your message because they don't allow new message requests.",
        "Message requests are turned off for this account",
        "does not allow new message requests",
    ),
    "comments_limited": (
        "This user only allows comments from followers",
        "Owner restricts who can comment",
        "You can no longer comment on this post",
        "The author has limited comments on this post",
        "You must follow this account to comment",
        "Commenting on this post has been restricted",
        "Sorry, you can't comment on this post.",
        "Not everyone can comment on this post",
        "comments are limited",
    ),
    "comments_disabled": (
        "Comments have been turned off",
        "Comments are turned off for this post",
        "Comments have been disabled",
        "This post does not allow comments",
    ),
    "feedback_required": (
        "You can't send any more message requests today",
        "Your account has been disabled from sending messages",
        "Your account is not allowed to send messages",
        "You're not allowed to send messages.",
        "You've been blocked from commenting",
        "You can't comment right now",
        "Your comment could not be posted",
        "Failed to post comment",
        "We couldn't post your comment",
        "Comment not posted",
        "Your account has been restricted from messaging",
        "You can't send messages for 3 days",
        "You've reached your daily limit",
        "You are temporarily blocked",
        "Unable to add comment",
        "You can't message right now",
        "Action blocked",
        "unable to comment",
    ),
    "content_refused": (
        "Comment blocked by a keyword filter",
        "Your message contains a link that isn't allowed",
        "This link has been blocked",
        "Sharing this link is not allowed",
        "URLs are not permitted",
        "We removed your comment because it goes against our Community Guidelines",
        "You must follow our Community Guidelines",
        "Your message was blocked",
        "This message can't be sent because it may contain spam",
        "It looks like your message is spam",
        "Your content was identified as spam",
        "Please edit your message and try again",
        "prohibited content",
        "This message violates our guidelines",
    ),
    "text_too_long": (
        "Your message exceeded the character limit",
        "Comments can be at most 2200 characters",
        "The text is too long",
        "Message exceeds the maximum length",
    ),
    "login_required": (
        "Your session has expired",
        "Please log in again",
        "You need to log in",
        "You have been logged out",
    ),
    "challenge_required": (
        "Please verify your account",
        "We detected unusual activity",
        "verification required",
        "We suspect automated behavior on your account",
        "Confirm it's you",
    ),
    "account_suspended": (
        "Your account has been permanently disabled",
        "account_disabled",
        "We suspended your account",
        "Your account is suspended",
    ),
    "please_wait": (
        "Please wait",
        "Wait a few minutes before trying again",
        "Try again in 5 minutes",
        "Please wait a few minutes before you try again",
    ),
    "rate_limited": (
        "Too many attempts",
        "Slow down",
    ),
    "client_outdated": (
        "Please update Instagram",
        "Update to the latest version of Instagram",
    ),
    "unknown": (
        "Invalid user agent",
        "Your account is limited to 5 devices",
        "The user is available on Messenger",
        "An error occurred while messaging the queue",
        "Try again later",
        "You must follow the link",
        "Check your privacy settings",
        "We couldn't contact the server",
        "We're unable to respond to this request",
        "Couldn't send the message",
        "Sorry, something went wrong",
        "An error occurred",
        "We're sorry, but something went wrong. Please try again.",
        "Bad request",
        "Internal error",
        "Invalid parameters",
        "Permission Denied",
    ),
}


@pytest.mark.parametrize(("code", "texts"), SAID.items(), ids=SAID.keys())
def test_words_are_recognized_by_what_they_say(code: str, texts: tuple[str, ...]) -> None:
    replies = {text: Reply(400, {"message": text, "status": "fail"}, {}) for text in texts}
    found = {text: policy_for_words(reply) for text, reply in replies.items()}
    codes = {text: policy.code if policy else "unknown" for text, policy in found.items()}
    assert codes == dict.fromkeys(texts, code)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"message": "feedback_required", "spam": True}, "feedback_required"),
        ({"message": "feedback_required", "comments_disabled": True}, "comments_disabled"),
        ({"message": "feedback_required", "comment_error_key": "other"}, "comment_refused"),
        ({"message": None, "spam": True}, "feedback_required"),
        ({"checkpoint_url": "/challenge/1/"}, "checkpoint_required"),
        ({"challenge": {"url": "/challenge/1/"}}, "challenge_required"),
        ({"challenge": {"url": "https://x/accounts/suspended/?a"}}, "account_suspended"),
        ({"message": "checkpoint_required", "error_type": "checkpoint_challenge_required"},
         "checkpoint_required"),
        ({"message": "challenge_required", "error_type": "checkpoint_challenge_required"},
         "challenge_required"),
        ({"message": "feedback_required", "feedback_message": "Please wait a few minutes"},
         "please_wait"),
        ({"feedback_title": "Couldn't Post Your Comment",
          "feedback_message": "The post you were viewing has been deleted."}, "media_unavailable"),
    ],
)  # fmt: skip
def test_what_is_particular_decides_over_what_is_general(
    fields: dict[str, object], code: str
) -> None:
    policy = policy_for_words(Reply(400, {"status": "fail", **fields}, {}))
    assert policy is not None
    assert policy.code == code
