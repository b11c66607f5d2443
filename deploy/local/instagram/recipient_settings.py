"""Whose messages a user takes, and Instagram's replies to the others.

Instagram documents the settings themselves under "Message controls" in its Help Center.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deploy.local.instagram.refusal import Refusal, fail, item_ack


@dataclass(frozen=True)
class RecipientSetting:
    """A setting's effect on a message from an account that the user does not follow.

    Parameters:
        refusal: the refusal's name; None when the message is stored.
        pending: a first message opens a message request.
        ends_threads: also refuses messages in a thread that exists, and those of followed accounts.
        one_message: only one text is taken until the request is accepted.
    """

    refusal: str | None = None
    pending: bool = False
    ends_threads: bool = False
    one_message: bool = False


RECIPIENT_SETTINGS: Final[Mapping[str, RecipientSetting]] = {
    "everyone": RecipientSetting(),
    "requests": RecipientSetting(pending=True),
    "one_request": RecipientSetting(pending=True, one_message=True),
    "no_requests": RecipientSetting("dm_requests_disabled"),
    "followers": RecipientSetting("dm_must_be_followed"),
    "some": RecipientSetting("dm_not_everyone", ends_threads=True),
    "unavailable": RecipientSetting("dm_other_settings", ends_threads=True),
}

_DM = "broadcast_text"

RECIPIENT_REFUSALS: Final[Mapping[str, Refusal]] = {
    # aiograpi, mixins/private.py, _DIRECT_MESSAGE_REQUESTS_DISABLED_MARKERS (instagrapi PR 2585)
    "dm_must_be_followed": Refusal(
        fail(403, "You can't message this account unless they follow you."),
        _DM,
        "ClientForbiddenError",
    ),
    # The app's words, which public DM bots look for; the status is our assumption.
    "dm_not_everyone": Refusal(
        fail(400, "Not everyone can message this account."), _DM, "UnknownError"
    ),
    # instagrapi issue 1240: the same users every time, others not
    "dm_other_settings": Refusal(
        item_ack(403, "This may be due to their app version or other settings. Client context:"),
        _DM,
        "ClientForbiddenError",
    ),
    # instagrapi issues 820, 651 and 1281: a 403 to some public users only
    "dm_something_went_wrong": Refusal(
        item_ack(403, "Something went wrong."), _DM, "ClientForbiddenError"
    ),
    # The app's words under a first message; the shape is that of issue 1240.
    "dm_request_not_accepted": Refusal(
        item_ack(400, "You can send more messages after your invite is accepted."),
        _DM,
        "ClientBadRequestError",
    ),
    # The acknowledgement of issue 1240 with an HTTP status of 200
    "dm_refused_with_200": Refusal(
        item_ack(400, "You can't message this account unless they follow you.", http_status=200),
        _DM,
        "ClientStatusFail",
    ),
}


def refusal_of(setting: str, *, followed: bool, has_thread: bool) -> str | None:
    """The refusal's name for a message to a user, or None.

    Parameters:
        setting: the recipient's, a key of `RECIPIENT_SETTINGS`.
        followed: whether the recipient follows the sender.
        has_thread: whether the two have a thread.
    """
    rule = RECIPIENT_SETTINGS[setting]
    exempt = (followed or has_thread) and not rule.ends_threads
    return None if exempt else rule.refusal
