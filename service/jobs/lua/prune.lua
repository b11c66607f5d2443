#!lua flags=allow-oom
-- Retention: drops what has been remembered long enough.
-- ARGV   1 the most to look at in one call; a job counts once with its deliveries
-- Reply  {how many were looked at, how many records were dropped}
-- Keeps  only ended things are dropped, and they leave every index with their record.
local now, looked, dropped = clock(), 0, 0

local function forget_delivery(id)
  local status = redis.call('HGET', 'hg:dlv:' .. id, 'status')
  if status == 'pending' or status == 'delivering' then return end
  redis.call('ZREM', 'hg:dlvs', id)
  if status then redis.call('ZREM', 'hg:dlvs:status:' .. status, id) end
  redis.call('DEL', 'hg:dlv:' .. id, 'hg:dlvlog:' .. id, payload_key(id))
  dropped = dropped + 1
end

local function forget_job(id)
  local job = load_job(id)
  if not job or not FINAL[job.status] then return end
  for _, index in ipairs({'hg:jobs', 'hg:jobs:status:' .. job.status,
      'hg:jobs:account:' .. job.account, 'hg:jobs:kind:' .. job.kind}) do
    redis.call('ZREM', index, id)
  end
  redis.call('DEL', 'hg:job:' .. id, 'hg:jobtext:' .. id, 'hg:jobphoto:' .. id, 'hg:jobtl:' .. id)
  if is_walk(job) then redis.call('UNLINK', rows_key(id), walked_key(id)) end
  dropped = dropped + 1
  if job.callback == '' then return end
  for run = 1, tonumber(job.run) do
    local delivery = delivery_of(job, run)
    -- A release before this one has told when each is to go.
    redis.call('ZREM', 'hg:retention', delivery)
    forget_delivery(delivery)
  end
end

local function forget_event(member)
  redis.call('ZREM', 'hg:events', member)
  redis.call('DEL', 'hg:event:' .. member, 'hg:eventbody:' .. member)
  dropped = dropped + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'hg:retention', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', 'hg:retention', id)
  if string.find(id, ':', 1, true) then
    forget_event(id)
  elseif string.sub(id, 1, 4) == 'dlv_' then
    forget_delivery(id)
  else
    forget_job(id)
  end
  looked = looked + 1
end
redis.call('XTRIM', 'hg:feed', 'MINID', digits(now - CONF.keep))
-- After a long rest there may be a million: so many a call, and then to the last one.
local since = digits(now - CONF.keep)
if redis.call('XTRIM', 'hg:audit', 'MINID', '~', since, 'LIMIT', 5000) == 0 then
  redis.call('XTRIM', 'hg:audit', 'MINID', since)
end
return {looked, dropped}
