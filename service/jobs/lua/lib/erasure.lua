-- What erase_jobs.lua does to one job: what must outlive the person is kept under the person's key,
-- everything else is deleted.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "rate_limits"
--- @include "lookup_cache"
--- @include "follower_pages"
--- @include "suppression"
--- @include "deliveries"
--- @include "people"
--- @include "tombstones"
--- @include "event_records"

local erasure = {}

-- Fields that tell of a person or may be a person's own words. Those without a blank value are
-- those that only some kinds of jobs have.
local PRIVATE_FIELDS = {'to', 'post', 'pk', 'metadata', 'result', 'context', 'thread', 'text_hash',
  'who', 'looked', 'looked_in'}
local PRIVATE_EXTRAS = {'photo', 'target', 'cursor', 'mark', 'encrypted_as', 'idem', 'once'}

-- The recipient may still not get the same again so soon.
function erasure.keep_repeat(job, pk_key)
  if job.kind ~= 'dm' or pk_key == '' then return end
  local plain, hashed = repeat_key(job, job.pk), repeat_key(job, pk_key)
  local earlier = plain and redis.call('GET', plain)
  if not earlier then return end
  redis.call('SET', hashed, earlier, 'PX', math.max(1, redis.call('PTTL', plain)))
  redis.call('DEL', plain)
end

-- Who asked not to be written to is still not written to. The reason is a person's words.
function erasure.keep_suppression(scope, name, key)
  local plain, hashed = scope .. ':' .. name, scope .. ':#' .. key
  local entry = redis.call('HGET', 'hg:suppressed', plain)
  if not entry then return false end
  local kept = cjson.decode(entry)
  kept.reason = cjson.null
  redis.call('HSET', 'hg:suppressed', hashed, cjson.encode(kept))
  redis.call('ZADD', 'hg:suppressions', 0, hashed)
  redis.call('HDEL', 'hg:suppressed', plain)
  redis.call('ZREM', 'hg:suppressions', plain)
  return true
end

function erasure.keep_suppressions(job, recipient, key)
  if recipient == '' or key == '' then return end
  for _, scope in ipairs({'*', job.account}) do
    erasure.keep_suppression(scope, suppression_name(recipient), key)
  end
end

-- A caller that repeats its request still gets this job (see create_job.lua).
function erasure.keep_idempotency(job)
  local request = job.idem and redis.call('HGET', job.idem, 'request')
  if not request then return end
  local key = string.match(job.who, '%S+') or ''
  redis.call('HSET', job.idem, 'request', erased_request(key, request))
end

-- The id of a conflict ends with a part of a fingerprint, and keeps nothing from being done.
local function erase_event(member, new_names)
  local event = event_records.load(member)
  if event and event.status == 'conflict' then return event_records.drop(member) end
  tombstones.replace_event(member, new_names)
end

function erasure.erase_events(job, new_names)
  for _, member in ipairs(events_of(job)) do erase_event(member, new_names) end
  redis.call('DEL', events_key(job.id))
end

-- Returns how many keys there were.
function erasure.erase_traces(key)
  local erased = 0
  for _, name in ipairs(redis.call('SMEMBERS', 'hg:traces:' .. key)) do
    erased = erased + redis.call('UNLINK', name)
  end
  redis.call('DEL', 'hg:traces:' .. key)
  return erased
end

function erasure.erase_caches(job)
  for key in string.gmatch(job.who, '%S+') do erasure.erase_traces(key) end
  if job.target then redis.call('DEL', found_key(job.target), in_flight_key(job.target)) end
  if job.to ~= '' then
    local target = 'user:' .. string.gsub(job.to, '^@', '')
    redis.call('DEL', 'hg:pk:' .. job.to, 'hg:known:' .. job.to, found_key(target))
    redis.call('SREM', 'hg:streak:' .. job.account .. ':not_found', target)
  end
  if job.pk ~= '' then redis.call('DEL', thread_key(job.account, job.pk)) end
  redis.call('UNLINK', 'hg:jobtext:' .. job.id, 'hg:jobphoto:' .. job.id, rows_key(job.id),
    seen_key(job.id))
end

-- Of an error its code stays: the message may have been written for one person.
local function erased_error(job)
  if job.error == '' then return '' end
  return cjson.encode({code = cjson.decode(job.error).code, message = 'Erased.',
    retryable = false})
end

function erasure.erase_record(job, now)
  for key in string.gmatch(job.who, '%S+') do redis.call('ZREM', person_index(key), job.id) end
  local fields = {erased = now, error = erased_error(job)}
  for _, name in ipairs(PRIVATE_FIELDS) do fields[name] = '' end
  set_fields(job, fields)
  local extras = {}
  for _, name in ipairs(PRIVATE_EXTRAS) do
    for piece = 1, IS_FOLDED[name] and MOST_PIECES or 1 do
      extras[#extras + 1] = piece_name(name, piece)
    end
    job[name] = nil
  end
  redis.call('HDEL', 'hg:job:' .. job.id, unpack(extras))
end

-- A callback that is owed, or may be sent again, says what the record still does: under the same
-- webhook-id, so that a receiver which has the first one takes it for that.
local function erase_delivery(job, job_run)
  local id = delivery_id_of(job, job_run)
  local key = 'hg:dlv:' .. id
  local event_type, created = unpack(redis.call('HMGET', key, 'type', 'created'))
  if not event_type then return end
  local has_own = redis.call('HDEL', key, 'payload') == 1
  if not has_own and redis.call('EXISTS', payload_key(id)) == 0 then return end
  local shown = {id = job.id, kind = job.kind, status = string.match(event_type, '%a+$'),
    attempts = job.attempts, source = job.source}
  if digits(job_run) == job.run then shown.error = job.error end
  redis.call('SET', payload_key(id), build_payload(shown, event_type, tonumber(created)))
end

function erasure.erase_deliveries(job)
  if job.callback == '' then return end
  for job_run = 1, tonumber(job.run) do erase_delivery(job, job_run) end
end
