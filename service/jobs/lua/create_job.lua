-- Creates one job that a caller asked for.
-- ARGV   entry (JSON, see draft_encoding.py), idempotency_key (its Redis key, or ''), request_hash,
--        keep (for how long to keep the key, ms), photo (JPEG, or '')
-- Reply  {outcome, job id}; outcome: created | repeated (same key and request) | conflict
-- Keeps  one idempotency key names one job; the same key with another request changes nothing. A
--        photo exists as soon as its job does.
--- @include "create_job"
--- @include "lookup_cache"
--- @include "photos"
--- @include "people"
local entry, idempotency_key, request_hash, keep, photo = unpack(ARGV)
local now, job = now_ms(), cjson.decode(entry)

-- The job may have been erased, under an earlier key of its person.
local function is_same_request(earlier)
  if earlier.request == request_hash then return true end
  for key in string.gmatch((job.who or '') .. ' ' .. (job.was or ''), '%S+') do
    if earlier.request == erased_request(key, request_hash) then return true end
  end
  return earlier.request == erased_request('', request_hash)
end

if idempotency_key ~= '' then
  local earlier = load_hash(idempotency_key)
  if earlier then
    -- Written again, so that a caller who sends again waits until the job is durable.
    redis.call('HSET', idempotency_key, 'job', earlier.job)
    return {is_same_request(earlier) and 'repeated' or 'conflict', earlier.job}
  end
  job.idem = idempotency_key
end
-- A job that may read with several accounts gets the one that has most of its budget left, or the
-- first where all are blocked.
if job.readers then job.account = pick_account(job.readers, now, math.huge) or job.readers[1] end
if photo ~= '' and redis.call('EXISTS', 'hg:job:' .. job.id) == 0 then
  keep_photo(job.id, photo, job.run_at or now + job.delay, now)
end
local job_id = create_job(job, job.source, now)
if idempotency_key ~= '' then
  redis.call('HSET', idempotency_key, 'request', request_hash, 'job', job_id)
  redis.call('PEXPIRE', idempotency_key, keep)
end
return {'created', job_id}
