#!lua flags=allow-oom
-- Stores what a process has measured of itself.
-- ARGV   process, tier, valid (for how long the report is valid, ms; 0 when the process ends),
--        peak_us (the longest that its event loop was late lately), subscribers (live),
--        connections (open), connection_limit, then pairs: counter, increase
-- Reply  nothing
-- Keeps  counters only grow, also when their process ends.
--- @include "arguments"
--- @include "config"
--- @include "clock"
local process, tier, valid, peak_us, subscribers, connections, connection_limit = unpack(ARGV, 1, 7)
local FIRST_COUNTER = 8
local now, key, valid_ms = now_ms(), 'hg:metrics:' .. process, tonumber(valid)
for counter, increase in argument_groups(ARGV, FIRST_COUNTER, 2) do
  redis.call('HINCRBY', 'hg:counters', counter, increase)
end
if valid_ms == 0 then
  redis.call('DEL', key)
  redis.call('ZREM', 'hg:processes', process)
  return
end
redis.call('HSET', key, 'tier', tier, 'peak_us', peak_us, 'listeners', subscribers,
  'connections', connections, 'connection_limit', connection_limit)
redis.call('PEXPIRE', key, valid)
redis.call('ZADD', 'hg:processes', now, process)
redis.call('ZADD', 'hg:releases', now, RELEASE)
redis.call('ZREMRANGEBYSCORE', 'hg:processes', '-inf', digits(now - valid_ms))
