#!lua flags=allow-oom
-- Records how an attempt at a delivery ended, or that none was made, and what comes next.
-- ARGV   delivery_id, owner, fence, to (delivered | failed | pending), delay (ms until the next
--        attempt), charge (counts | free | deferred: no attempt was made), attempt (JSON, '' for
--        deferred)
-- Reply  ok | lost
-- Keeps  only the holder of the claim records. A delivery is pending with a due time, or ended; an
--        ended one is pruned with its job. A deferred delivery leaves nothing in its attempt log:
--        no attempt was made, and an endpoint that hangs for an hour would push the real ones
--        out. `put_backs` counts since the last attempt that counted.
--- @include "deliveries"
--- @include "stats"
local delivery_id, owner, fence, to, delay, charge, attempt = unpack(ARGV)
local now, key = now_ms(), 'hg:dlv:' .. delivery_id
local ATTEMPT_LOG_LIMIT = 100
local delivery = load_hash(key)
if not delivery or delivery.owner ~= owner or delivery.fence ~= fence or
    delivery.status ~= 'delivering' then
  return 'lost'
end
-- The counters' stored names (stored_names.py).
local OUTCOMES = {counts = 'again', free = 'uncharged', deferred = 'put_back'}
count('attempt', 'delivery', to == 'pending' and OUTCOMES[charge] or to)
if charge ~= 'deferred' then
  stats.count_callback(delivery.endpoint, to == 'pending' and 'retried' or to, now)
end
local next_at = to == 'pending' and now + tonumber(delay) or 0
redis.call('ZREM', 'hg:leases', delivery_id)
redis.call('ZREM', 'hg:dlvs:status:delivering', delivery_id)
redis.call('ZADD', 'hg:dlvs:status:' .. to, delivery.seq, delivery_id)
redis.call('HSET', key, 'status', to, 'owner', '', 'lease', 0, 'next_at', digits(next_at),
  'set_at', digits(now),
  'ended', to == 'pending' and 0 or digits(now))
if charge == 'deferred' then
  redis.call('HINCRBY', key, 'put_backs', 1)
else
  redis.call('RPUSH', 'hg:dlvlog:' .. delivery_id, attempt)
  redis.call('LTRIM', 'hg:dlvlog:' .. delivery_id, -ATTEMPT_LOG_LIMIT, -1)
end
if charge == 'counts' then
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HDEL', key, 'put_backs')
end
if to == 'pending' then
  redis.call('ZADD', 'hg:due', next_at, delivery_id)
  return 'ok'
end
local job_run, finished = unpack(redis.call('HMGET', 'hg:job:' .. delivery.job, 'run', 'finished'))
if not job_run then retain_until(delivery_id, now + CONF.keep) end
-- What was delivered can be built from the job's record until the job begins another run.
if to == 'delivered' and job_run == delivery.run and finished then
  redis.call('DEL', payload_key(delivery_id))
  redis.call('HDEL', key, 'payload', 'echoes', 'put_backs')
end
return 'ok'
