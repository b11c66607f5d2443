"""Which actor a wake-up is for. The scripts write the messages; this names their addresses.

A message carries one id and nothing else: losing it costs a moment, getting it twice costs
nothing. Both tiers read this table, so the web never imports an actor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Dramatiq's keys stay apart from ours: its maintenance walks them with KEYS.
NAMESPACE: Final = "hg-mq"


@dataclass(frozen=True)
class Route:
    """Where a wake-up goes.

    Parameters:
      queue: The Dramatiq queue.
      actor: The actor's name on it.
    """

    queue: str
    actor: str


DM: Final = Route("actions", "send_dm")
COMMENT: Final = Route("actions", "post_comment")
LOOKUP: Final = Route("actions", "look_up")
FOLLOWERS: Final = Route("actions", "walk_on")
DELIVERY: Final = Route("callbacks", "deliver_callback")

#: What comes by the clock.
PERIODIC: Final = "calendar"
#: Every queue there is.
QUEUES: Final = (DM.queue, DELIVERY.queue, PERIODIC)

#: By job kind; `delivery` is the one that is not a job.
ROUTES: Final[Mapping[str, Route]] = {
    "dm": DM,
    "comment": COMMENT,
    "lookup": LOOKUP,
    "followers": FOLLOWERS,
    "following": FOLLOWERS,
    "delivery": DELIVERY,
}
