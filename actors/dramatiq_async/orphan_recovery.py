"""What a dead process had fetched goes back to its queue.

Dramatiq's own maintenance does this, too, but with KEYS, for each dead process: among a million
jobs it would walk millions of keys, and nobody else would be served for seconds. So it is off
(`broker.py`), and this looks only where such messages can be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import redis

from service.jobs.actor_routes import NAMESPACE

#: The most processes, and messages of each, that one call looks after.
_BATCH: Final = 100

#: ARGV: namespace, the queue, the latest heartbeat of a dead process (ms), the most of each, who
#: asks, every queue. Replies how many messages went back.
_REQUEUE_ORPHANED: Final = """#!lua flags=allow-oom
local base, queue, most, back = ARGV[1] .. ':', ARGV[2], tonumber(ARGV[4]), 0

local function is_owed(process)
  for i = 6, #ARGV do
    local fetched = base .. '__acks__.' .. process .. '.' .. ARGV[i]
    if redis.call('EXISTS', fetched) == 1 then return true end
  end
  return false
end

local beats = base .. '__heartbeats__'
for _, process in ipairs(redis.call('ZRANGEBYSCORE', beats, '-inf', ARGV[3], 'LIMIT', 0, most)) do
  local fetched = base .. '__acks__.' .. process .. '.' .. queue
  for _, id in ipairs(process ~= ARGV[5] and redis.call('SPOP', fetched, most) or {}) do
    if redis.call('HEXISTS', base .. queue .. '.msgs', id) == 1 then
      redis.call('RPUSH', base .. queue, id)
      back = back + 1
    end
  end
  if not is_owed(process) then redis.call('ZREM', beats, process) end
end
return back
"""


def requeue_orphaned(
    client: redis.Redis, own_id: str, queue: str, queues: Iterable[str], dead_since_ms: int
) -> int:
    """Give back to a queue what dead processes had fetched from it.

    Parameters:
      client: The store.
      heir: The process that asks; it lives, whatever its own heartbeat says.
      queue: Whose messages.
      queues: Every queue there is: a process is forgotten when none of them is owed anything.
      dead_since_ms: Whoever was last heard of before this moment (unix ms) is dead.

    Returns:
      How many messages went back.
    """
    script = client.register_script(_REQUEUE_ORPHANED)
    told: Any = script(args=[NAMESPACE, queue, dead_since_ms, _BATCH, own_id, *queues])
    return int(told)
