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
class Address:
    """Where a wake-up goes.

    Parameters:
      queue: The Dramatiq queue.
      actor: The actor's name on it.
    """

    queue: str
    actor: str


DM: Final = Address("actions", "send_dm")
COMMENT: Final = Address("actions", "post_comment")
LOOKUP: Final = Address("actions", "look_up")
WALK: Final = Address("actions", "walk_on")
DELIVERY: Final = Address("callbacks", "deliver_callback")

#: What comes by the clock.
CALENDAR: Final = "calendar"
#: Every queue there is.
QUEUES: Final = (DM.queue, DELIVERY.queue, CALENDAR)

#: By job kind; `delivery` is the one that is not a job.
ADDRESSES: Final[Mapping[str, Address]] = {
    "dm": DM,
    "comment": COMMENT,
    "lookup": LOOKUP,
    "followers": WALK,
    "following": WALK,
    "delivery": DELIVERY,
}
