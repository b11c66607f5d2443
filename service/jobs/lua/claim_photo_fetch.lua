#!lua flags=allow-oom
-- Claims a job to fetch its photo, or says why not.
-- ARGV   job_id, owner (unique to this claim)
-- Reply  as claim_job.lua; verdict: run | none (it does not wait for a photo now, or is another's).
--        The text is the photo's URL.
-- Keeps  one live claim per job. The claim needs no turn: the job stays `waiting` outside of the
--        account queue, and can be canceled and expire, which ends the claim. Photos never fill
--        the store: webhooks need its memory more.
--- @include "photos"
--- @include "finalize"
local job_id, owner = unpack(ARGV)
local job, now = load_job(job_id), now_ms()

local function reply(verdict, fence, text, flat)
  count('claim', 'photo', verdict)
  return {verdict, fence, text, flat, now}
end

local function nothing() return reply('none', 0, '', {}) end

local function grant()
  local text = redis.call('GET', 'hg:jobtext:' .. job_id) or ''
  return reply('run', tonumber(job.fence), text, redis.call('HGETALL', 'hg:job:' .. job_id))
end

-- What is left of the store's memory is not for photos.
local PHOTOS_SHARE, FULL_RETRY = 0.8, 60000

local function is_nearly_full()
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return false end
  local used = tonumber(string.match(info, '\nused_memory:(%d+)'))
  local most = tonumber(string.match(info, '\nmaxmemory:(%d+)'))
  return used and most and most > 0 and used > PHOTOS_SHARE * most
end

local function wait_for_memory()
  set_fields(job, idle_fields('store_full', now + FULL_RETRY))
  redis.call('ZADD', 'hg:due', now + FULL_RETRY, job_id)
  return nothing()
end

if not job or is_newer(job) or job.status ~= 'waiting' or job.lane ~= '' or
    not lacks_photo(job) then
  return nothing()
end
if job.owner ~= '' and tonumber(job.lease) > now then
  return job.owner == owner and grant() or nothing()
end
if tonumber(job.wait_until) > now or end_if_hopeless(job, now, 'claim') then return nothing() end
if is_nearly_full() then return wait_for_memory() end
redis.call('ZADD', 'hg:due', now + CONF.lease, job_id)
set_fields(job, {owner = owner, lease = now + CONF.lease, renewed = now, fence = job.fence + 1,
  echoes = 0, wait_reason = 'photo', wait_until = 0, attempts = job.attempts + 1,
  started = tonumber(job.started) > 0 and job.started or now})
return grant()
