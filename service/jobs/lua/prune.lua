#!lua flags=allow-oom
-- Drops records that have been kept long enough.
-- ARGV   limit (the most entries to look at; a job and its deliveries are one)
-- Reply  {how many entries were looked at (there may be more when it is the limit), how many
--        records were dropped}
-- Keeps  only ended records are dropped, and they leave every index when they are; none that a
--        newer release has written.
--- @include "follower_pages"
--- @include "deliveries"
--- @include "event_records"
local limit = unpack(ARGV)
-- The most runs of a job whose deliveries are dropped with it in one step.
local MAX_RUNS = 10
local now, looked, dropped = now_ms(), 0, 0

-- Whether a newer release has written the record. It is looked at again in a day.
local function is_left_to_newer(id, key)
  if not is_newer({v = redis.call('HGET', key, 'v')}) then return false end
  retain_until(id, now + DAY)
  return true
end

local function prune_delivery(id)
  if is_left_to_newer(id, 'hg:dlv:' .. id) then return end
  local status = redis.call('HGET', 'hg:dlv:' .. id, 'status')
  if status == 'pending' or status == 'delivering' then return end
  redis.call('ZREM', 'hg:dlvs', id)
  if status then redis.call('ZREM', 'hg:dlvs:status:' .. status, id) end
  redis.call('DEL', 'hg:dlv:' .. id, 'hg:dlvlog:' .. id, payload_key(id))
  dropped = dropped + 1
end

local function prune_job(id)
  if is_left_to_newer(id, 'hg:job:' .. id) then return end
  local job = load_job(id)
  if not job or not FINAL[job.status] then return end
  for _, index in ipairs(lists_of(job)) do redis.call('ZREM', index, id) end
  redis.call('DEL', 'hg:job:' .. id, 'hg:jobtext:' .. id, 'hg:jobphoto:' .. id, 'hg:jobtl:' .. id)
  if is_follower_export(job) then redis.call('UNLINK', rows_key(id), seen_key(id)) end
  if job.kind == 'report' then redis.call('DEL', 'hg:report:' .. id) end
  dropped = dropped + 1
  if job.callback == '' then return end
  -- Those of a job that was retried very often are entries of their own.
  for job_run = MAX_RUNS + 1, tonumber(job.run) do
    retain_until(delivery_id_of(job, job_run), digits(now))
  end
  for job_run = 1, math.min(MAX_RUNS, tonumber(job.run)) do
    local delivery = delivery_id_of(job, job_run)
    -- An early release has set a time for each delivery of its own.
    redis.call('ZREM', 'hg:retention', delivery)
    prune_delivery(delivery)
  end
end

local function prune_event(member)
  if is_left_to_newer(member, 'hg:event:' .. member) then return end
  event_records.drop(member)
  dropped = dropped + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'hg:retention', '-inf', now, 'LIMIT', 0, limit)) do
  redis.call('ZREM', 'hg:retention', id)
  if string.find(id, ':', 1, true) then
    prune_event(id)
  elseif is_delivery(id) then
    prune_delivery(id)
  else
    prune_job(id)
  end
  looked = looked + 1
end
local since = digits(now - CONF.keep)
redis.call('XTRIM', 'hg:feed', 'MINID', since)
-- After a long pause there may be a million entries: each call removes up to 5,000.
if redis.call('XTRIM', 'hg:audit', 'MINID', '~', since, 'LIMIT', 5000) == 0 then
  redis.call('XTRIM', 'hg:audit', 'MINID', since)
end
return {looked, dropped}
