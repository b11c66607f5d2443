"""Requeues the messages that dead processes had fetched.

Dramatiq's own maintenance does this as well, but with KEYS, once per dead process: among a
million jobs it would walk millions of keys and block Redis for seconds. So it is turned off
(`maintenance_chance=0`), and this looks only where such messages can be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import redis

#: The most processes, and messages of each, that one call handles.
_BATCH: Final = 100

_REQUEUE_ORPHANED: Final = """#!lua flags=allow-oom
-- Requeues what dead processes had fetched from one queue.
-- ARGV   as named below; then the names of all queues
-- Reply  how many messages went back
-- Keeps  a process is removed from the heartbeats once no queue is owed anything by it.
local namespace, queue, dead_since_ms, batch, own_id = unpack(ARGV)
local base, requeued = namespace .. ':', 0

local function fetched_key(process, name) return base .. '__acks__.' .. process .. '.' .. name end

local function owes_messages(process)
  for i = 6, #ARGV do
    if redis.call('EXISTS', fetched_key(process, ARGV[i])) == 1 then return true end
  end
  return false
end

local beats = base .. '__heartbeats__'
for _, process in ipairs(
    redis.call('ZRANGEBYSCORE', beats, '-inf', dead_since_ms, 'LIMIT', 0, batch)) do
  local fetched = process ~= own_id and redis.call('SPOP', fetched_key(process, queue), batch) or {}
  for _, id in ipairs(fetched) do
    if redis.call('HEXISTS', base .. queue .. '.msgs', id) == 1 then
      redis.call('RPUSH', base .. queue, id)
      requeued = requeued + 1
    end
  end
  if not owes_messages(process) then redis.call('ZREM', beats, process) end
end
return requeued
"""


def requeue_orphaned(
    client: redis.Redis,
    namespace: str,
    own_id: str,
    queue: str,
    queues: Iterable[str],
    dead_since_ms: int,
) -> int:
    """Requeue what dead processes had fetched from a queue.

    Parameters:
      client: The store.
      namespace: The broker's.
      own_id: The broker id of the calling process, which is alive whatever its heartbeat says.
      queue: The queue.
      queues: All queues: a dead process is forgotten once none of them is owed anything.
      dead_since_ms: Processes whose last heartbeat is not after this (unix ms) are dead.

    Returns:
      How many messages went back.
    """
    script = client.register_script(_REQUEUE_ORPHANED)
    requeued: Any = script(args=[namespace, queue, dead_since_ms, _BATCH, own_id, *queues])
    return int(requeued)
