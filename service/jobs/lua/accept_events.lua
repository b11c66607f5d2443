-- Accepts events, each with the jobs its rules ask for.
-- ARGV   of each event: envelope (JSON, see ledger.py `accept`), body (compressed)
-- Reply  of each event: {outcome, event id, job ids as JSON}, or the error that met it;
--        outcome: accepted | duplicate | conflict
-- Keeps  one event and rule make one job: an event that is known is never run again, and its
--        jobs and their wake-ups exist as soon as it does. No event's error touches another.
local now = clock()

local function known(source, name) return load_hash('hg:event:' .. source .. ':' .. name) end

local function store(envelope, body, name, status, jobs, notes)
  local member = envelope.source .. ':' .. name
  local key = 'hg:event:' .. member
  local seq = now_seq()
  redis.call('HSET', key, 'v', VERSION, 'id', name, 'source', envelope.source, 'seq', seq,
    'type', envelope.type, 'status', status, 'received', moment(now), 'notes', notes,
    'fingerprint', envelope.fingerprint, 'livemode', envelope.livemode, 'jobs', jobs)
  redis.call('SET', 'hg:eventbody:' .. member, body, 'PX', digits(CONF.keep_bodies))
  index('hg:events', seq, member)
  remember_until(member, digits(now + CONF.keep))
  enroll('hg:sources', envelope.source)
end

-- A wake-up that was lost rings again when the sender repeats itself.
local function ring_overdue(jobs)
  for _, id in ipairs(cjson.decode(jobs)) do
    local due = tonumber(redis.call('ZSCORE', 'hg:wakes', id) or now + 1)
    if due <= now then ring(id, redis.call('HGET', 'hg:job:' .. id, 'kind'), now) end
  end
end

local function accept(text, body)
  local envelope = cjson.decode(text)
  local earlier = known(envelope.source, envelope.id)
  if earlier and earlier.fingerprint ~= envelope.fingerprint then
    local name = envelope.id .. '~' .. string.sub(envelope.fingerprint, 1, 12)
    earlier = known(envelope.source, name)
    if not earlier then store(envelope, body, name, 'conflict', '[]', '[]') end
    count('event', envelope.source, 'conflict')
    return {'conflict', name, '[]'}
  end
  if earlier then
    ring_overdue(earlier.jobs)
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

gather(#ARGV)  -- of each event's two arguments: one place for it, one for the job it mostly makes
local replies = {}
for i = 1, #ARGV, 2 do
  local done, reply = pcall(accept, ARGV[i], ARGV[i + 1])
  if not done and type(reply) ~= 'table' then reply = redis.error_reply(reply) end
  replies[#replies + 1] = reply
end
write_gathered()
return replies
