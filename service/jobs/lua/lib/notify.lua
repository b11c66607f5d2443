-- Wake-ups: messages on Dramatiq's broker that carry one id and nothing else.
--- @include "config"
--- @include "clock"

-- Puts a message for `id` on the broker, as `broker.enqueue` would.
local function send_message(actor, id, now)
  local message_id = 'wake-' .. digits(redis.call('INCR', 'hg:wakeseq'))
  local queue = CONF.namespace .. ':' .. actor.queue
  redis.call('HSET', queue .. '.msgs', message_id,
    '{"queue_name":"' .. actor.queue .. '","actor_name":"' .. actor.name .. '","args":["' .. id ..
    '"],"kwargs":{},"options":{"redis_message_id":"' .. message_id .. '"},"message_id":"' ..
    message_id .. '","message_timestamp":' .. now_digits(now) .. '}')
  redis.call('RPUSH', queue, message_id)
  redis.call('XADD', 'hg:bell:' .. actor.queue, 'MAXLEN', 1, '*', 'r', '1')
end

-- Wakes a worker, and records when to do so again if nobody claims. A kind that only a newer
-- release knows is only recorded: processes of that release send the message.
local function notify_worker(id, kind, now)
  redis.call('ZADD', 'hg:wakes', now + CONF.lease, id)
  if CONF.actors[kind] then send_message(CONF.actors[kind], id, now) end
end
