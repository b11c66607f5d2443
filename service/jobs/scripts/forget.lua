#!lua flags=allow-oom
-- Retention: drops what has been remembered long enough.
-- ARGV   1 the most to drop in one call
-- Reply  how many were dropped
-- Keeps  only ended things are dropped, and they leave every index with their record.
local now, dropped = clock(), 0

local function forget_job(id)
  local job = load_job(id)
  if not job then return end
  if not FINAL[job.status] then return end
  for _, index in ipairs({'hg:jobs', 'hg:jobs:status:' .. job.status,
      'hg:jobs:account:' .. job.account, 'hg:jobs:kind:' .. job.kind}) do
    redis.call('ZREM', index, id)
  end
  redis.call('DEL', 'hg:job:' .. id, 'hg:jobtext:' .. id, 'hg:jobtl:' .. id)
  if is_walk(job) then redis.call('UNLINK', rows_key(id), walked_key(id)) end
end

local function forget_delivery(id)
  local status = redis.call('HGET', 'hg:dlv:' .. id, 'status')
  if status == 'pending' or status == 'delivering' then return end
  redis.call('ZREM', 'hg:dlvs', id)
  if status then redis.call('ZREM', 'hg:dlvs:status:' .. status, id) end
  redis.call('DEL', 'hg:dlv:' .. id, 'hg:dlvlog:' .. id)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'hg:retention', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZREM', 'hg:retention', id)
  if string.find(id, ':', 1, true) then
    redis.call('ZREM', 'hg:events', id)
    redis.call('DEL', 'hg:event:' .. id, 'hg:eventbody:' .. id)
  elseif string.sub(id, 1, 4) == 'dlv_' then
    forget_delivery(id)
  else
    forget_job(id)
  end
  dropped = dropped + 1
end
redis.call('XTRIM', 'hg:audit', 'MINID', digits(now - CONF.keep))
return dropped
