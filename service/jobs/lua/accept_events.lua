-- Accepts events, each with the jobs that its rules ask for.
-- ARGV   process, number, seen, age (its high-water mark, see history.lua), then for each
--        event: envelope (JSON, see ledger.py), body (compressed and encrypted)
-- Reply  for each event: {outcome, event id, job ids (JSON), how many of the jobs are still to be
--        created (create_deferred_jobs.lua)}, or the error that met it; outcome: accepted |
--        duplicate | conflict (the id is known with other data in the same shape) | unfinished
--        (another shape, which must wait until all jobs of the first are created)
-- Keeps  one event and rule make one job: a known event is never run again, and its jobs and their
--        wake-ups exist as soon as it does. Only what its first shape could not decide may be
--        decided by another. An error of one event does not touch another. Of what an event says
--        that lists an erased job nothing is kept.
--- @include "arguments"
--- @include "notify"
--- @include "create_job"
--- @include "people"
--- @include "event_indexes"
--- @include "event_records"
--- @include "deferred_jobs"
--- @include "history"
local process, number, seen, age = unpack(ARGV, 1, 4)
local FIRST_EVENT = 5
local now = now_ms()

local function load_event(source, name) return load_hash('hg:event:' .. source .. ':' .. name) end

local function load_known(envelope, key)
  local name = key and redis.call('GET', key)
  return name and load_event(envelope.source, name)
end

local function body_tombstones(envelope)
  local names = {}
  for i, ending in ipairs(envelope.body_endings) do
    names[i] = 'hg:known:' .. envelope.source .. ':' .. ending
  end
  return names
end

-- The event that a body has reported; of an erased one, the tombstone tells.
local function load_by_body(envelope)
  local event = load_known(envelope, envelope.body_key)
  if event or not envelope.body_key or not tombstones.exist() then return event end
  local name = tombstones.first_value(body_tombstones(envelope))
  return name and load_event(envelope.source, name)
end

local function encode_ids(ids)
  return ids[1] and '["' .. table.concat(ids, '","') .. '"]' or '[]'
end

-- An encrypted body has a key of its own: older releases take it for one that is no longer kept.
local function body_key(member, envelope)
  return (envelope.encrypted and 'hg:encbody:' or 'hg:eventbody:') .. member
end

local function store_body(member, envelope, body)
  redis.call('SET', body_key(member, envelope), body, 'PX', digits(CONF.keep_bodies))
end

-- Stores an event; its body is false where nothing of what it says is to be kept.
local function store(envelope, body, name, status, jobs, notes)
  local member = envelope.source .. ':' .. name
  local key = 'hg:event:' .. member
  local seq = next_seq()
  redis.call('HSET', key, 'v', PLAIN_VERSION, 'id', name, 'source', envelope.source, 'seq', seq,
    'type', envelope.type, 'status', status, 'received', now_digits(now), 'notes', notes,
    'fingerprint', body and envelope.fingerprint or '', 'livemode', envelope.livemode, 'jobs', jobs,
    'shape', envelope.shape or '')
  -- The body is encrypted for the id that it came with.
  if name ~= envelope.id then redis.call('HSET', key, 'encrypted_as', envelope.id) end
  if body then store_body(member, envelope, body) end
  event_indexes.add({seq = seq, type = envelope.type, status = status, notes = notes}, member)
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

-- The event that this one repeats under another id: through another subscription, or as a body
-- that was signed once and sent again. Only the body is signed, so that a body that has made a job
-- belongs to its event, whatever event the headers name. A sender of many topics (those have an
-- event key) may report two with equal bodies: the second makes the job that the first did not.
local function load_repeated(envelope)
  local same_body = load_by_body(envelope)
  if same_body and same_body.jobs ~= '[]' then return same_body end
  local same_event = load_known(envelope, envelope.event_key)
  if same_event or not same_body then return same_event end
  local other_topic = envelope.event_key and same_body.type ~= envelope.type
  if other_topic and envelope.jobs[1] then return nil end
  return same_body
end

-- An erased job is not made again, whatever became of it.
local function is_rejected(job)
  if job.status ~= 'failed' or job.erased then return false end
  local last = redis.call('LINDEX', 'hg:jobtl:' .. job.id, -1) or ''
  return string.find(last, 'rejected at creation', 1, true) ~= nil and
    cjson.decode(job.error).code ~= 'recipient_suppressed'
end

-- Which rules another shape of the event may decide, by name: those that failed on the first. One
-- that has no note did not match the first type, or was added since.
local function undecided_rules(event, envelope)
  local undecided, made_job = {}, false
  for _, note in ipairs(cjson.decode(event.notes)) do
    undecided[note.rule] = note.outcome == 'when_error'
  end
  for _, id in ipairs(cjson.decode(event.jobs)) do
    local job = load_job(id)
    local rejected = job and is_rejected(job)
    -- In their order: a job that was made in place of a rejected one decides for its rule.
    if job then undecided[cjson.decode(job.source).rule] = rejected or false end
    made_job = made_job or not rejected
  end
  local others = event.type ~= envelope.type and not made_job
  return setmetatable(undecided, {__index = function() return others end})
end

-- All jobs that an envelope asks for, as entries.
local function all_entries(envelope)
  local entries = envelope.jobs
  for _, head in ipairs(envelope.deferred or {}) do
    entries[#entries + 1] = cjson.decode(head.entry)
  end
  return entries
end

-- An id for a job whose first id belongs to the one that was rejected at creation.
local function free_id(id, fingerprint)
  if redis.call('EXISTS', 'hg:job:' .. id) == 0 then return id end
  local hex = string.sub(redis.sha1hex(id .. fingerprint), 1, 26)
  return 'job_' .. string.gsub(hex, '%d', function(n) return string.char(103 + n) end)
end

-- Makes another shape the event's own; its body is false where nothing of it is to be kept.
local function store_shape(event, envelope, body)
  local member = event.source .. ':' .. event.id
  redis.call('HSET', 'hg:event:' .. member, 'jobs', event.jobs, 'notes', envelope.notes, 'type',
    envelope.type, 'fingerprint', body and envelope.fingerprint or '', 'shape',
    envelope.shape or '', 'encrypted_as', envelope.id)
  event_records.erase_body(member)
  if body then store_body(member, envelope, body) end
  event_indexes.move(event, {seq = event.seq, type = envelope.type, status = event.status,
    notes = envelope.notes}, member)
end

-- The most jobs that one step creates for another shape.
local MAX_RESHAPED = 25

-- The same event in another shape: creates the jobs that the first could not decide about. A thin
-- one without jobs is replaced in any case, because rules that are added later need the snapshot.
local function accept_reshaped(event, envelope, body)
  if event.status ~= 'accepted' or is_newer(event) then return end
  local undecided, ids = undecided_rules(event, envelope), cjson.decode(event.jobs)
  local before, heads = #ids, {}
  for _, entry in ipairs(all_entries(envelope)) do
    local source = cjson.decode(entry.source)
    if not entry.error and undecided[source.rule] then
      source.event_id = event.id
      local id = free_id(entry.id, envelope.fingerprint)
      if id ~= entry.id then entry.id, entry.encrypted_as = id, entry.encrypted and entry.id end
      entry.source = cjson.encode(source)
      if #ids - before < MAX_RESHAPED then
        ids[#ids + 1] = create_job(entry, entry.source, now)
      else
        heads[#heads + 1] = {id = entry.id, delay = entry.delay, run_at = entry.run_at,
          once = entry.once, once_kept = entry.once_kept, once_endings = entry.once_endings,
          entry = cjson.encode(entry)}
      end
    end
  end
  defer_jobs(event.source .. ':' .. event.id, heads, ids, now)
  if #ids == before and not (event.shape == 'thin' and event.jobs == '[]') then return end
  event.jobs = encode_ids(ids)
  store_shape(event, envelope, not is_any_erased(ids) and body)
end

-- Whatever body reported the event must not make a job as another event later.
local function remember_body(envelope, name, is_kept)
  if not envelope.body_key then return end
  if not is_kept then return tombstones.keep(body_tombstones(envelope)[1], name, CONF.keep) end
  redis.call('SET', envelope.body_key, name, 'PX', digits(CONF.keep))
  local hash = string.match(envelope.body_key, '[^:]+$')
  redis.call('HSET', 'hg:event:' .. envelope.source .. ':' .. name, 'known:' .. hash, '')
end

local function remember_further_body(envelope, event)
  if envelope.body_key and redis.call('GET', envelope.body_key) ~= event.id then
    remember_body(envelope, event.id, not is_any_erased(cjson.decode(event.jobs)))
  end
end

local function is_same_shape(event, envelope)
  return not event.shape or event.shape == (envelope.shape or '')
end

-- What an erased event said is not known any more: in its own shape it is taken for the same.
local function is_same_data(event, envelope)
  return event.fingerprint == envelope.fingerprint or
    event.fingerprint == envelope.raw_fingerprint or
    is_same_shape(event, envelope) and is_any_erased(cjson.decode(event.jobs))
end

local function accept_again(event, envelope, body)
  local member = event.source .. ':' .. event.id
  if not is_same_data(event, envelope) then
    local left = count_deferred(member)
    if left > 0 then return {'unfinished', event.id, event.jobs, left} end
    accept_reshaped(event, envelope, body)
  end
  remember_further_body(envelope, event)
  notify_overdue(event.jobs)
  count('event', envelope.source, 'duplicate')
  return {'duplicate', event.id, event.jobs, count_deferred(member)}
end

-- Lists an event under jobs that others have made.
local function link_earlier_jobs(member, ids)
  for _, id in ipairs(ids) do link_event(id, member) end
end

local function accept_conflict(envelope, body, earlier)
  local name = envelope.id .. '~' .. string.sub(envelope.fingerprint, 1, 12)
  if not load_event(envelope.source, name) then
    link_earlier_jobs(envelope.source .. ':' .. name, cjson.decode(earlier.jobs))
    store(envelope, body, name, 'conflict', '[]', '[]')
  end
  count('event', envelope.source, 'conflict')
  return {'conflict', name, '[]', 0}
end

-- The jobs among `ids` whose business keys earlier events have used.
local function repeated_jobs(envelope, ids)
  local repeated = {}
  for i, id in ipairs(ids) do
    local entry = envelope.jobs[i] or envelope.deferred[i - #envelope.jobs]
    if id ~= entry.id then repeated[#repeated + 1] = id end
  end
  return repeated
end

local function accept_new(envelope, body)
  local ids = {}
  local member = envelope.source .. ':' .. envelope.id
  for i, entry in ipairs(envelope.jobs) do ids[i] = create_job(entry, entry.source, now) end
  local deferred = envelope.deferred or {}
  if deferred[1] then defer_jobs(member, deferred, ids, now) end
  local repeated = repeated_jobs(envelope, ids)
  link_earlier_jobs(member, repeated)
  -- By an erased job nobody would find what the event says any more.
  local is_kept = not is_any_erased(repeated)
  local jobs = encode_ids(ids)
  store(envelope, is_kept and body, envelope.id, envelope.status, jobs, envelope.notes)
  remember_body(envelope, envelope.id, is_kept)
  if envelope.event_key then
    redis.call('SET', envelope.event_key, envelope.id, 'PX', digits(CONF.keep))
  end
  count('event', envelope.source, envelope.status)
  return {'accepted', envelope.id, jobs, #deferred}
end

local function accept(envelope_json, body)
  local envelope = cjson.decode(envelope_json)
  local earlier = load_event(envelope.source, envelope.id)
  if earlier and is_same_shape(earlier, envelope) and not is_same_data(earlier, envelope) then
    return accept_conflict(envelope, body, earlier)
  end
  earlier = earlier or load_repeated(envelope)
  if earlier then return accept_again(earlier, envelope, body) end
  return accept_new(envelope, body)
end

-- An event needs one sequence number, and mostly makes one job, which needs another: as many as
-- there are arguments.
begin_batch(#ARGV)
history.raise_mark(process, number, seen, age, now)
local replies = {}
for envelope, body in argument_groups(ARGV, FIRST_EVENT, 2) do
  local done, reply = pcall(accept, envelope, body)
  if not done and type(reply) ~= 'table' then reply = redis.error_reply(reply) end
  replies[#replies + 1] = reply
end
write_batch()
return replies
