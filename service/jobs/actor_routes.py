"""The queue and actor of each wake-up; the scripts write the messages.

A message carries one id and nothing else: losing it costs a moment, receiving it twice costs
nothing. Both tiers read this table, so that the web tier never imports an actor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Prefix of Dramatiq's keys, apart from ours: its maintenance scans them with KEYS.
NAMESPACE: Final = "hg-mq"


@dataclass(frozen=True)
class Route:
    """The Dramatiq queue and the actor of a wake-up."""

    queue: str
    actor: str


DM: Final = Route("actions", "send_dm")
COMMENT: Final = Route("actions", "post_comment")
LOOKUP: Final = Route("actions", "look_up")
FOLLOWERS: Final = Route("actions", "walk_on")
#: Fetches photos for jobs of the kind `dm`. A queue of its own: slow servers delay nothing else.
PHOTO: Final = Route("photos", "fetch_photo")
#: Draws reports, on a queue of its own: that keeps a processor busy for seconds.
REPORT: Final = Route("reports", "draw_report")
DELIVERY: Final = Route("callbacks", "deliver_callback")

#: The queue of periodic tasks.
PERIODIC: Final = "calendar"
#: Does an operation's steps. A worker of an older release, which may get the message, does not know
#: it; then a heartbeat sends another.
OPERATION: Final = Route(PERIODIC, "run_operation")
#: All queues.
QUEUES: Final = (DM.queue, PHOTO.queue, REPORT.queue, DELIVERY.queue, PERIODIC)

#: By job kind, and `delivery`.
ROUTES: Final[Mapping[str, Route]] = {
    "dm": DM,
    "comment": COMMENT,
    "lookup": LOOKUP,
    "followers": FOLLOWERS,
    "following": FOLLOWERS,
    "report": REPORT,
    "delivery": DELIVERY,
}
