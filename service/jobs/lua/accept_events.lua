-- Accepts events, each with the jobs that its rules ask for.
-- ARGV   for each event: envelope (JSON, see ledger.py), body (compressed)
-- Reply  for each event: {outcome, event id, job ids (JSON)}, or the error that met it; outcome:
--        accepted | duplicate | conflict (the id is known with other data)
-- Keeps  one event and rule make one job: a known event is never run again, and its jobs and their
--        wake-ups exist as soon as it does. An error of one event does not touch another.
--- @include "arguments"
--- @include "notify"
--- @include "create_job"
local now = now_ms()

local function load_event(source, name) return load_hash('hg:event:' .. source .. ':' .. name) end

local function store(envelope, body, name, status, jobs, notes)
  local member = envelope.source .. ':' .. name
  local key = 'hg:event:' .. member
  local seq = next_seq()
  redis.call('HSET', key, 'v', VERSION, 'id', name, 'source', envelope.source, 'seq', seq,
    'type', envelope.type, 'status', status, 'received', now_digits(now), 'notes', notes,
    'fingerprint', envelope.fingerprint, 'livemode', envelope.livemode, 'jobs', jobs)
  redis.call('SET', 'hg:eventbody:' .. member, body, 'PX', digits(CONF.keep_bodies))
  add_to_index('hg:events', seq, member)
  retain_until(member, digits(now + CONF.keep))
  add_to_set('hg:sources', envelope.source)
end

-- A sender that repeats itself replaces wake-ups that were lost.
local function notify_overdue(jobs)
  for _, id in ipairs(cjson.decode(jobs)) do
    local due = tonumber(redis.call('ZSCORE', 'hg:wakes', id) or now + 1)
    if due <= now then notify_worker(id, redis.call('HGET', 'hg:job:' .. id, 'kind'), now) end
  end
end

local function accept(envelope_json, body)
  local envelope = cjson.decode(envelope_json)
  local earlier = load_event(envelope.source, envelope.id)
  if earlier and earlier.fingerprint ~= envelope.fingerprint then
    local name = envelope.id .. '~' .. string.sub(envelope.fingerprint, 1, 12)
    earlier = load_event(envelope.source, name)
    if not earlier then store(envelope, body, name, 'conflict', '[]', '[]') end
    count('event', envelope.source, 'conflict')
    return {'conflict', name, '[]'}
  end
  if earlier then
    notify_overdue(earlier.jobs)
    count('event', envelope.source, 'duplicate')
    return {'duplicate', envelope.id, earlier.jobs}
  end
  local ids = {}
  for i, entry in ipairs(envelope.jobs) do ids[i] = create_job(entry, entry.source, now) end
  local jobs = ids[1] and '["' .. table.concat(ids, '","') .. '"]' or '[]'
  store(envelope, body, envelope.id, envelope.status, jobs, envelope.notes)
  count('event', envelope.source, envelope.status)
  return {'accepted', envelope.id, jobs}
end

-- An event needs one sequence number, and mostly makes one job, which needs another: as many as
-- there are arguments.
begin_batch(#ARGV)
local replies = {}
for envelope, body in argument_groups(ARGV, 1, 2) do
  local done, reply = pcall(accept, envelope, body)
  if not done and type(reply) ~= 'table' then reply = redis.error_reply(reply) end
  replies[#replies + 1] = reply
end
write_batch()
return replies
