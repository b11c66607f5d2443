-- Takes a delivery that is due.
-- ARGV   1 delivery id  2 owner (unique to this claim)
-- Reply  {'run', fence, flat hash, payload} or {'none', 0, {}, ''}
-- Keeps  one live claim per delivery.
local id, owner, now = ARGV[1], ARGV[2], clock()
local key = 'hg:dlv:' .. id
local delivery = load_hash(key)

local function nothing()
  count('claim', 'delivery', 'none')
  return {'none', 0, {}, ''}
end

if delivery and is_newer(delivery) then return nothing() end
redis.call('ZREM', 'hg:wakes', id)
if not delivery or delivery.status == 'delivered' or delivery.status == 'failed' then return nothing() end
if delivery.status == 'delivering' and tonumber(delivery.lease) > now and delivery.owner ~= owner then
  return nothing()
end
if delivery.status == 'pending' and tonumber(delivery.next_at) > now then
  redis.call('ZADD', 'hg:due', delivery.next_at, id)
  return nothing()
end
redis.call('ZREM', 'hg:due', id)
if delivery.status == 'pending' then
  redis.call('ZREM', 'hg:dlvs:status:pending', id)
  redis.call('ZADD', 'hg:dlvs:status:delivering', delivery.seq, id)
end
redis.call('HSET', key, 'status', 'delivering', 'owner', owner, 'fence', delivery.fence + 1,
  'lease', digits(now + CONF.lease), 'echoes', 0)
redis.call('ZADD', 'hg:leases', now + CONF.lease, id)
count('claim', 'delivery', 'run')
-- A record of the release before has its payload in itself.
local body = redis.call('GET', payload_key(id)) or delivery.payload
return {'run', delivery.fence + 1, redis.call('HGETALL', key), body}
