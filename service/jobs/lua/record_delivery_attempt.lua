#!lua flags=allow-oom
-- Records how an attempt at a delivery ended, or that none was made, and what is next.
-- ARGV   1 delivery id  2 owner  3 fence  4 to: delivered | failed | pending
--        5 ms until the next attempt (pending)  6 'counts', 'free' or 'put_back'
--        7 the attempt (JSON), '' for one that is put back
-- Reply  ok | lost
-- Keeps  only the holder of the claim records; a delivery is pending with a due time, or ended; one
--        that ended goes when its job goes.
--        Being put back leaves nothing in the attempt log: no attempt was made, and an origin that
--        hangs for an hour would push the real ones out. `put_backs` counts since the last charge.
local id, now, to = ARGV[1], clock(), ARGV[4]
local key = 'hg:dlv:' .. id
local delivery = load_hash(key)
if not delivery or delivery.owner ~= ARGV[2] or delivery.fence ~= ARGV[3] or
    delivery.status ~= 'delivering' then
  return 'lost'
end
local OUTCOMES = {counts = 'again', free = 'uncharged', put_back = 'put_back'}
count('attempt', 'delivery', to == 'pending' and OUTCOMES[ARGV[6]] or to)
local next_at = to == 'pending' and now + tonumber(ARGV[5]) or 0
redis.call('ZREM', 'hg:leases', id)
redis.call('ZREM', 'hg:dlvs:status:delivering', id)
redis.call('ZADD', 'hg:dlvs:status:' .. to, delivery.seq, id)
redis.call('HSET', key, 'status', to, 'owner', '', 'lease', 0, 'next_at', digits(next_at),
  'ended', to == 'pending' and 0 or digits(now))
if ARGV[6] == 'put_back' then
  redis.call('HINCRBY', key, 'put_backs', 1)
else
  redis.call('RPUSH', 'hg:dlvlog:' .. id, ARGV[7])
  redis.call('LTRIM', 'hg:dlvlog:' .. id, -ATTEMPT_LOG_LIMIT, -1)
end
if ARGV[6] == 'counts' then
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HDEL', key, 'put_backs')
end
if to == 'pending' then
  redis.call('ZADD', 'hg:due', next_at, id)
  return 'ok'
end
local job = redis.call('HMGET', 'hg:job:' .. delivery.job, 'run', 'finished')
if not job[1] then remember_until(id, now + CONF.keep) end
-- What was delivered is told by the job, while it has not begun another run.
if to == 'delivered' and job[1] == delivery.run and job[2] then
  redis.call('DEL', payload_key(id))
  redis.call('HDEL', key, 'payload', 'echoes', 'put_backs')
end
return 'ok'
