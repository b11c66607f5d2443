-- Deliveries: the callbacks owed, each with frozen bytes.
--- @include "config"
--- @include "clock"
--- @include "batch"
--- @include "records"
--- @include "notify"
--- @include "rate_limits"

-- A result that would make the callback longer than this is left to the API.
local PAYLOAD_LIMIT = 20480

local function json_or_null(value) return (value and value ~= '') and value or 'null' end

-- The strings that are spliced in are ids and words of ours; what callers sent is JSON already.
local function build_payload(job, event_type, now)
  local function body(result, extra)
    return '{"type":"' .. event_type .. '","timestamp":"' .. rfc3339(now) ..
      '","data":{"job_id":"' .. job.id .. '","kind":"' .. job.kind .. '","status":"' ..
      job.status .. '","attempts":' .. job.attempts .. ',"result":' .. result .. extra ..
      ',"error":' .. json_or_null(job.error) .. ',"metadata":' .. json_or_null(job.metadata) ..
      ',"source":' .. job.source .. '}}'
  end
  local whole = body(json_or_null(job.result), '')
  if #whole <= PAYLOAD_LIMIT then return whole end
  return body('null', ',"result_url":"/jobs/' .. job.id .. '/result"')
end

local function payload_key(id) return 'hg:payload:' .. id end

local function create_delivery(id, seq, fields, payload, now)
  local flat = {'v', PLAIN_VERSION, 'seq', seq, 'status', 'pending', 'attempts', 0,
    'created', digits(now), 'next_at', digits(now), 'fence', 0, 'owner', '', 'lease', 0}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', 'hg:dlv:' .. id, unpack(flat))
  redis.call('SET', payload_key(id), payload)
  redis.call('ZADD', 'hg:dlvs', seq, id)
  redis.call('ZADD', 'hg:dlvs:status:pending', seq, id)
  notify_worker(id, 'delivery', now)
end

-- A job has one delivery a run.
local function delivery_id_of(job, job_run)
  return 'dlv_' .. string.sub(job.id, 5) .. '_' .. job_run
end

-- What the callback of an ended run says: the same bytes whenever it is built.
local function job_payload(job)
  return build_payload(job, 'job.' .. job.status, tonumber(job.finished))
end

local function open_delivery(job, now)
  create_delivery(delivery_id_of(job, job.run), next_seq(), {job = job.id, run = job.run,
    endpoint = job.callback, type = 'job.' .. job.status}, job_payload(job), now)
end

-- Before a job runs again: from then on its record no longer tells what its last run delivered.
local function freeze_payload(job)
  local id = delivery_id_of(job, job.run)
  local version, payload = unpack(redis.call('HMGET', 'hg:dlv:' .. id, 'v', 'payload'))
  if version and not payload then redis.call('SET', payload_key(id), job_payload(job), 'NX') end
end

-- Creates the delivery that tells the account's callback endpoint, if there is one, of a hold or
-- its end; `about` (nil for none) has more fields of it: what happened, what to do.
local function open_account_delivery(account, change, reason, now, about)
  local callback = config_of(account).callback
  if not callback then return end
  local seq, event_type = next_seq(), 'account.' .. change
  local data = about or {}
  data.account, data.reason = account, reason
  create_delivery('dlv_account_' .. seq, seq,
    {job = '', run = 1, endpoint = callback, type = event_type},
    '{"type":"' .. event_type .. '","timestamp":"' .. rfc3339(now) .. '","data":' ..
      cjson.encode(data) .. '}',
    now)
end
