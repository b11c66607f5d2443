#!lua flags=allow-oom
-- Examines work, and what the indexes say of it, and mends it if asked to.
-- ARGV   1 'repair' or 'report'  then pairs: what, id. What: job | delivery | walk (it has rows) |
--        account, or the name of an index of which the id was a member
-- Reply  a list of {id, problem, where, outcome}; problem: a word of defects.py; outcome:
--        mendable | mended | lost (nothing here can mend it)
-- Keeps  each thing is looked at whole, in one step, so that a sound ledger has no findings while
--        others work on it; how a job ended is never changed, and what a newer release has
--        written is left to it.
local now, repair = clock(), ARGV[1] == 'repair'
local found = {}

local function tell(id, problem, where, mend)
  local outcome = mend and 'mendable' or 'lost'
  if mend and repair then
    mend()
    outcome = 'mended'
  end
  found[#found + 1] = {id, problem, where, outcome}
end

-- Records

local JOB = {
  prefix = 'hg:job:',
  numbers = {'seq', 'prio', 'run', 'run_at', 'expires', 'finished', 'lease', 'wait_until'},
  words = {'status', 'kind', 'account', 'owner', 'callback', 'source', 'attempts'},
  statuses = ALLOWED,
}
local DELIVERY = {
  prefix = 'hg:dlv:',
  numbers = {'seq', 'created', 'next_at', 'lease'},
  words = {'status', 'job', 'owner'},
  statuses = {pending = true, delivering = true, delivered = true, failed = true},
}

local function broken_field(record, shape)
  for _, name in ipairs(shape.numbers) do
    if not tonumber(record[name]) then return name end
  end
  for _, name in ipairs(shape.words) do
    if not record[name] then return name end
  end
  return not shape.statuses[record.status] and 'status' or nil
end

local function of_newer_release(record) return tonumber(record.v or VERSION) and is_newer(record) end

-- The record; nil where there is none, it cannot be read, or it is not ours to judge.
local function read(id, shape)
  local is_hash, record = pcall(load_hash, shape.prefix .. id)
  if not is_hash then return tell(id, 'broken record', 'type') end
  if record and shape == JOB then read_job(id, record) end
  if not record or of_newer_release(record) then return nil end
  local field = broken_field(record, shape)
  if field then return tell(id, 'broken record', field) end
  record.id = id
  return record
end

local function must_list(record, index, score, problem)
  local listed = redis.call('ZSCORE', index, record.id)
  if listed and tonumber(listed) == tonumber(score) then return end
  tell(record.id, problem, index, function() redis.call('ZADD', index, score, record.id) end)
end

local function must_be_forgotten(record, ended, keep)
  -- A job's deliveries go with it.
  if redis.call('EXISTS', 'hg:job:' .. (record.job or '')) == 1 then return end
  if redis.call('ZSCORE', 'hg:retention', record.id) then return end
  local from = tonumber(ended or 0) > 0 and ended or now
  tell(record.id, 'never forgotten', 'hg:retention', function()
    remember_until(record.id, from + (keep or CONF.keep))
  end)
end

-- What leads to work

-- By kind of list, the jobs that may stand in it.
local STANDING = {line = {waiting = true, sending = true}, held = {held = true}}

-- Never sooner than it would have been: a job of next week is not done today.
local function set_alarm(job)
  if job.status == 'running' then return lapse(job, now, 'doctor') end
  note(job, now, job.status, 'doctor', 'nothing led to it')
  if job.status == 'queued' then
    ring(job.id, job.kind, now)
  elseif job.status == 'sending' then
    redis.call('ZADD', 'hg:due', now + CONF.settle, job.id)
  elseif job.status == 'held' and stopped(account_of(job.account), job.kind) then
    redis.call('ZADD', held_key(job), line_score(job), job.id)
  else
    local at = job.status == 'scheduled' and job.run_at or job.wait_until
    redis.call('ZADD', 'hg:due', at, job.id)
  end
end

-- Jobs

local function is_claimed(job)
  return (job.status == 'running' or job.status == 'sending') and job.owner ~= ''
end

local function is_at_work(id)
  local is_hash, job = pcall(load_job, id)
  return is_hash and job and is_claimed(job) and tonumber(job.lease or 0) > now
end

local function examine_claim(job)
  must_list(job, 'hg:leases', job.lease, 'never lapses')
  local key = account_key(job) .. ':turn'
  local holder = redis.call('GET', key)
  if tonumber(job.lease) <= now or holder == job.id then return end
  tell(job.id, 'out of turn', key, not (holder and is_at_work(holder)) and function()
    redis.call('SET', key, job.id)
    redis.call('ZADD', 'hg:turns', job.lease, job.account)
  end)
end

local function must_stay(job, key)
  if redis.call('PTTL', key) < 0 then return end
  tell(job.id, 'fading text', key, function() redis.call('PERSIST', key) end)
end

local function examine_text(job)
  if READS[job.kind] then return end
  local key = 'hg:jobtext:' .. job.id
  if redis.call('EXISTS', key) == 0 then tell(job.id, 'no text', key) end
  must_stay(job, key)
end

-- What there is to do: a text to write, or what a walk has found, to go on behind it.
local function examine_matter(job)
  if not READS[job.kind] then return examine_text(job) end
  if not is_walk(job) then return end
  if not is_whole(job) then tell(job.id, 'rows lost', rows_key(job.id)) end
  must_stay(job, rows_key(job.id))
  must_stay(job, walked_key(job.id))
end

-- One that is to be fetched is there when it was.
local function examine_photo(job)
  local key = 'hg:jobphoto:' .. job.id
  local uploaded = job.photo and string.find(job.photo, '"from":"upload"', 1, true)
  if uploaded and redis.call('EXISTS', key) == 0 then tell(job.id, 'no photo', key) end
end

-- The alarm of a claimed job may have rung for nothing; the claim of a queued one looks itself.
local function needs_expiry(job)
  local expires = tonumber(job.expires)
  if expires == 0 or job.status == 'running' or job.status == 'sending' then return false end
  return job.status ~= 'queued' or expires > now
end

local function examine_unended(job)
  examine_matter(job)
  examine_photo(job)
  if needs_expiry(job) then must_list(job, 'hg:expiry', job.expires, 'never expires') end
  if is_claimed(job) then
    examine_claim(job)
  elseif not is_led_to(job) then
    tell(job.id, 'unreachable', job.status, function() set_alarm(job) end)
  end
end

-- While nothing of that age can have been forgotten, what is missing was lost.
local function is_remembered(since) return tonumber(since) + CONF.keep > now end

local function examine_ended(job)
  must_be_forgotten(job, job.finished, remembered_for(job))
  local delivery = 'dlv_' .. string.sub(job.id, 5) .. '_' .. job.run
  if job.callback == '' or not is_remembered(job.finished) then return end
  if redis.call('EXISTS', 'hg:dlv:' .. delivery) == 0 then
    tell(job.id, 'no callback', delivery, function() open_delivery(job, now) end)
  end
end

local function examine_job(id)
  local job = read(id, JOB)
  if not job then return end
  for _, index in ipairs({'hg:jobs', 'hg:jobs:status:' .. job.status,
      'hg:jobs:account:' .. job.account, 'hg:jobs:kind:' .. job.kind}) do
    must_list(job, index, job.seq, 'unlisted')
  end
  if FINAL[job.status] then examine_ended(job) else examine_unended(job) end
end

-- What walks have found

local function examine_walk(id)
  local is_hash, job = pcall(load_job, id)
  if not is_hash or (job and (of_newer_release(job) or broken_field(job, JOB))) then return end
  for _, key in ipairs({rows_key(id), walked_key(id)}) do
    local left = redis.call('PTTL', key)
    if not job and left ~= -2 then
      tell(id, 'no record', key, function() redis.call('UNLINK', key) end)
    elseif job and FINAL[job.status] and left == -1 then
      tell(id, 'kept for ever', key, function() redis.call('PEXPIRE', key, CONF.keep_bodies) end)
    end
  end
end

-- Deliveries

local function examine_owed(delivery)
  if delivery.job ~= '' and is_remembered(delivery.created) and redis.call('EXISTS', 'hg:job:' .. delivery.job) == 0 then
    tell(delivery.id, 'no job', delivery.job)
  end
  if delivery.status == 'delivering' and delivery.owner ~= '' then
    must_list(delivery, 'hg:leases', delivery.lease, 'never lapses')
  elseif not is_led_to(delivery) then
    tell(delivery.id, 'unreachable', delivery.status, function()
      redis.call('ZADD', 'hg:due', delivery.next_at, delivery.id)
    end)
  end
end

local function examine_delivery(id)
  local delivery = read(id, DELIVERY)
  if not delivery then return end
  must_list(delivery, 'hg:dlvs', delivery.seq, 'unlisted')
  must_list(delivery, 'hg:dlvs:status:' .. delivery.status, delivery.seq, 'unlisted')
  if ALARMS[delivery.status] then
    examine_owed(delivery)
  else
    must_be_forgotten(delivery, delivery.ended)
  end
end

-- Accounts

local function examine_account(account)
  local key = 'hg:acct:' .. account
  local holder, ends = redis.call('GET', key .. ':turn'), redis.call('ZSCORE', 'hg:turns', account)
  local function grant() grant_next(account, now) end
  if not holder then
    if ends then return tell(account, 'turn of nobody', 'hg:turns', grant) end
    if is_stuck(account, now) then tell(account, 'stuck line', key .. ':line', grant) end
    return
  end
  local is_hash, job = pcall(load_job, holder)
  if is_hash and job and of_newer_release(job) then return end
  if not (is_hash and job and job.status) or FINAL[job.status] then
    return tell(account, 'idle turn', holder, grant)
  end
  if not ends then
    tell(account, 'endless turn', 'hg:turns', function()
      redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
    end)
  end
end

-- Members of indexes

-- Whether a job or delivery that has its record belongs into the index.
local function belongs(record, index)
  local account, list, place = string.match(index, '^hg:acct:([^:]+):(%a+):([%w_]+)$')
  if list then
    local own = list == 'line' and record.lane or record.kind
    return record.account == account and place == own and STANDING[list][record.status]
  end
  local field, value = string.match(index, '^hg:%a+:(%a+):(.+)$')
  if field then return record[field] == value end
  return index == 'hg:jobs' or index == 'hg:dlvs' or ALARMS[record.status]
end

local function examine_member(index, id)
  if not redis.call('ZSCORE', index, id) then return end
  local shape = string.sub(id, 1, 4) == 'dlv_' and DELIVERY or JOB
  local is_hash, record = pcall(load_hash, shape.prefix .. id)
  if is_hash and record and shape == JOB then read_job(id, record) end
  if not is_hash or (record and (of_newer_release(record) or broken_field(record, shape))) then return end
  if record and belongs(record, index) then return end
  tell(id, record and 'wrong index' or 'no record', index, function() redis.call('ZREM', index, id) end)
end

local EXAMINE = {job = examine_job, delivery = examine_delivery, account = examine_account,
  walk = examine_walk}

for i = 2, #ARGV, 2 do
  local what, id = ARGV[i], ARGV[i + 1]
  if EXAMINE[what] then EXAMINE[what](id) else examine_member(what, id) end
end
return found
