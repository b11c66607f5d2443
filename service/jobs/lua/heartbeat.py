from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class HistoryLoss(NamedTuple):
    """A loss of history, for which writes are looked for before they are made.

    Parameters:
      epoch: How many losses there were up to this one.
      cause: `mark` (a process had seen more), `promoted_replica`, or `restart` (no process was left
        that could tell).
      missing_ms: How much is missing at most.
    """

    epoch: int
    cause: str
    missing_ms: int


class HeartbeatReply(NamedTuple):
    """What a heartbeat found.

    Parameters:
      lost: Ids of the lost claims.
      done: How many due entries were done.
      next_ms: When the next is due, from now; None if no entry has a due time.
      loss: The loss of history that jobs are compared with; None while history is complete.
      abandoned_event: An event (source:id) some of whose jobs are still to be created; None mostly.
    """

    lost: set[str]
    done: int
    next_ms: int | None
    loss: HistoryLoss | None
    abandoned_event: str | None = None


def heartbeat(
    limit: int,
    durable: int,
    process: str,
    number: int,
    seen: int,
    age: int,
    *claims: tuple[str, str, int],
) -> ScriptCall[HeartbeatReply]:
    """Renew the leases of this process, and do what is due for any process (heartbeat.lua).

    `durable` is 1 if the store has each command on disk before it replies. `process`, `number`,
    `seen` and `age` are a raise of its high-water mark.
    """
    flat = (part for claim in claims for part in claim)
    return ScriptCall("heartbeat", (limit, durable, process, number, seen, age, *flat), _reply)


def _reply(reply: list[Any]) -> HeartbeatReply:
    lost, done, next_ms, loss, event = reply
    return HeartbeatReply(
        set(map(bytes.decode, lost)),
        done,
        int(next_ms) if next_ms else None,
        _loss(*loss),
        event.decode() or None,
    )


def _loss(epoch: bytes = b"", cause: bytes = b"", missing_ms: bytes = b"") -> HistoryLoss | None:
    return HistoryLoss(int(epoch), cause.decode(), int(missing_ms)) if epoch else None
