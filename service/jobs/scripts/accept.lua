-- Accepts one event with the jobs its rules ask for.
-- ARGV   1 envelope (JSON, see ledger.py `accept`)  2 the body, compressed
-- Reply  {outcome, event id, job ids as JSON}; outcome: accepted | duplicate | conflict
-- Keeps  one event and rule make one job: an event that is known is never run again, and its
--        jobs and their wake-ups exist as soon as it does.
local envelope = cjson.decode(ARGV[1])
local now = clock()

local function known(name) return load_hash('hg:event:' .. envelope.source .. ':' .. name) end

local function store(name, status, jobs, notes)
  local member = envelope.source .. ':' .. name
  local key = 'hg:event:' .. member
  local seq = now_seq()
  redis.call('HSET', key, 'v', VERSION, 'id', name, 'source', envelope.source, 'seq', seq,
    'type', envelope.type, 'status', status, 'received', digits(now), 'notes', notes,
    'fingerprint', envelope.fingerprint, 'livemode', envelope.livemode, 'jobs', jobs)
  redis.call('SET', 'hg:eventbody:' .. member, ARGV[2], 'PX', CONF.keep_bodies)
  redis.call('ZADD', 'hg:events', seq, member)
  remember_until(member, now + CONF.keep)
  redis.call('SADD', 'hg:sources', envelope.source)
end

-- A wake-up that was lost rings again when the sender repeats itself.
local function ring_overdue(jobs)
  for _, id in ipairs(cjson.decode(jobs)) do
    local due = tonumber(redis.call('ZSCORE', 'hg:wakes', id) or now + 1)
    if due <= now then ring(id, redis.call('HGET', 'hg:job:' .. id, 'kind'), now) end
  end
end

local earlier = known(envelope.id)
if earlier and earlier.fingerprint ~= envelope.fingerprint then
  earlier = known(envelope.conflicting_id)
  if not earlier then store(envelope.conflicting_id, 'conflict', '[]', '[]') end
  count('event', envelope.source, 'conflict')
  return {'conflict', envelope.conflicting_id, '[]'}
end
if earlier then
  ring_overdue(earlier.jobs)
  count('event', envelope.source, 'duplicate')
  return {'duplicate', envelope.id, earlier.jobs}
end
local ids = {}
for i, entry in ipairs(envelope.jobs) do ids[i] = create_job(entry, entry.source, now) end
local jobs = #ids > 0 and cjson.encode(ids) or '[]'
store(envelope.id, envelope.status, jobs, envelope.notes)
count('event', envelope.source, envelope.status)
return {'accepted', envelope.id, jobs}
