-- Keeps the plan of an operation until it is confirmed or expires.
-- ARGV   operation_id, keep (for how long, ms), fields (JSON; see operations.lua), then the items
-- Reply  when the plan expires (unix ms)
-- Keeps  a plan does nothing, is listed nowhere and wakes nobody.
--- @include "operations"
local operation_id, keep, fields = unpack(ARGV, 1, 3)
local FIRST_ITEM = 4
local now, key, items = now_ms(), operations.key(operation_id), operations.items_key(operation_id)
redis.call('DEL', key, items)
redis.call('HSET', key, 'v', PLAIN_VERSION, 'status', 'planned', 'created', now_digits(now),
  'total', digits(#ARGV - FIRST_ITEM + 1))
for name, value in pairs(cjson.decode(fields)) do redis.call('HSET', key, name, value) end
for i = FIRST_ITEM, #ARGV, 1000 do
  redis.call('RPUSH', items, unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
operations.expire_in(operation_id, keep)
return digits(now + keep)
