-- Claims a delivery that is due.
-- ARGV   delivery_id, owner (unique to this claim)
-- Reply  {'run', fence, flat hash, payload} or {'none', 0, {}, ''}
-- Keeps  one live claim per delivery.
--- @include "deliveries"
local delivery_id, owner = unpack(ARGV)
local now, key = now_ms(), 'hg:dlv:' .. delivery_id
local delivery = load_hash(key)

local function nothing()
  count('claim', 'delivery', 'none')
  return {'none', 0, {}, ''}
end

if delivery and is_newer(delivery) then return nothing() end
redis.call('ZREM', 'hg:wakes', delivery_id)
if not delivery or delivery.status == 'delivered' or delivery.status == 'failed' then
  return nothing()
end
if delivery.status == 'delivering' and tonumber(delivery.lease) > now and
    delivery.owner ~= owner then
  return nothing()
end
if delivery.status == 'pending' and tonumber(delivery.next_at) > now then
  redis.call('ZADD', 'hg:due', delivery.next_at, delivery_id)
  return nothing()
end
redis.call('ZREM', 'hg:due', delivery_id)
if delivery.status == 'pending' then
  redis.call('ZREM', 'hg:dlvs:status:pending', delivery_id)
  redis.call('ZADD', 'hg:dlvs:status:delivering', delivery.seq, delivery_id)
end
redis.call('HSET', key, 'status', 'delivering', 'owner', owner, 'fence', delivery.fence + 1,
  'lease', digits(now + CONF.lease), 'echoes', 0)
redis.call('ZADD', 'hg:leases', now + CONF.lease, delivery_id)
count('claim', 'delivery', 'run')
-- A record of an early release has its payload in itself.
local payload = redis.call('GET', payload_key(delivery_id)) or delivery.payload
return {'run', delivery.fence + 1, redis.call('HGETALL', key), payload}
