#!lua flags=allow-oom
-- Checks records and indexes, and repairs them if asked to.
-- ARGV   action (report | repair | rescue), limit (the most entries to check), then pairs: what,
--        id. What: job | delivery | event | export (it has rows) | account, or an index that
--        had the id as a member. To rescue, the pairs are 'index' and the name of an index of
--        unended work: the next slice of these is checked for whether anything leads to each
--        member, and repaired
-- Reply  {how many entries were checked, 1 when the last of them is done else 0, {id, problem,
--        where, outcome} for each problem}; problem: a word of consistency_problems.py; outcome:
--        repairable | repaired | lost (nothing here can repair it)
-- Keeps  each entry is checked whole, in one step, so that a sound ledger has no problems while
--        others work on it. How a job ended is never changed, and what a newer release has
--        written is left to it. Slices go on where the last call stopped (hg:sweep), so that
--        every entry has its turn and no call takes long.
--- @include "arguments"
--- @include "record_shapes"
--- @include "finalize"
local action, limit = ARGV[1], tonumber(ARGV[2])
local FIRST_PAIR = 3
local now, repair, by = now_ms(), action ~= 'report', action == 'rescue' and 'rescue' or 'doctor'
local problems, checked = {}, 0

local function report(id, problem, where, mend)
  local outcome = mend and 'repairable' or 'lost'
  if mend and repair then
    mend()
    outcome = 'repaired'
  end
  problems[#problems + 1] = {id, problem, where, outcome}
end

-- Records

local function read_and_report(id, shape)
  local record, broken = read_sound(id, shape)
  if broken and broken ~= 'newer' then report(id, 'broken record', broken) end
  return record
end

local function must_be_listed(record, index, score, problem)
  local listed = redis.call('ZSCORE', index, record.id)
  if listed and tonumber(listed) == tonumber(score) then return end
  report(record.id, problem, index, function() redis.call('ZADD', index, score, record.id) end)
end

local function must_be_pruned(record, ended, keep)
  -- A job's deliveries are pruned with it.
  if redis.call('EXISTS', 'hg:job:' .. (record.job or '')) == 1 then return end
  if redis.call('ZSCORE', 'hg:retention', record.id) then return end
  local from = tonumber(ended or 0) > 0 and ended or now
  report(record.id, 'never pruned', 'hg:retention', function()
    retain_until(record.id, from + (keep or CONF.keep))
  end)
end

-- What leads to unended work

-- Never sooner than it would have been: a job of next week is not done today.
local function wake_job(job)
  if job.status == 'running' then return expire_lease(job, now, by) end
  append_timeline(job, now, job.status, by, 'orphaned')
  if job.status == 'queued' then
    notify_worker(job.id, job.kind, now)
  elseif job.status == 'sending' then
    redis.call('ZADD', 'hg:due', now + CONF.settle, job.id)
  elseif job.status == 'held' and paused_by(load_account(job.account), job.kind) then
    redis.call('ZADD', held_key(job), queue_score(job), job.id)
  else
    local at = job.status == 'scheduled' and job.run_at or job.wait_until
    redis.call('ZADD', 'hg:due', at, job.id)
  end
end

local function wake_delivery(delivery)
  redis.call('ZADD', 'hg:due', delivery.next_at, delivery.id)
end

local CLAIMED_STATUSES = {running = true, sending = true, delivering = true}

local function is_claimed(record) return CLAIMED_STATUSES[record.status] and record.owner ~= '' end

local function must_be_reachable(record)
  if is_claimed(record) then
    must_be_listed(record, 'hg:leases', record.lease, 'lease never expires')
  elseif not is_reachable(record) then
    local wake = record.kind and wake_job or wake_delivery
    report(record.id, 'orphaned', record.status, function() wake(record) end)
  end
end

-- Jobs

local function is_at_work(id)
  local is_hash, job = pcall(load_job, id)
  return is_hash and job and is_claimed(job) and tonumber(job.lease or 0) > now
end

local function check_turn_of(job)
  local key = account_key(job) .. ':turn'
  local holder = redis.call('GET', key)
  if tonumber(job.lease) <= now or holder == job.id then return end
  report(job.id, 'missing turn', key, not (holder and is_at_work(holder)) and function()
    redis.call('SET', key, job.id)
    redis.call('ZADD', 'hg:turns', job.lease, job.account)
  end)
end

local function must_not_expire(job, key)
  if redis.call('PTTL', key) < 0 then return end
  report(job.id, 'early expiry', key, function() redis.call('PERSIST', key) end)
end

local function check_text(job)
  local key = 'hg:jobtext:' .. job.id
  if redis.call('EXISTS', key) == 0 then report(job.id, 'no text', key) end
  must_not_expire(job, key)
end

local function check_rows(job)
  if not has_all_rows(job) then report(job.id, 'missing rows', rows_key(job.id)) end
  must_not_expire(job, rows_key(job.id))
  must_not_expire(job, seen_key(job.id))
end

-- A photo that is to be fetched is stored only after that.
local function check_photo(job)
  local key = 'hg:jobphoto:' .. job.id
  local uploaded = job.photo and string.find(job.photo, '"from":"upload"', 1, true)
  if uploaded and redis.call('EXISTS', key) == 0 then report(job.id, 'no photo', key) end
end

-- The expiry of a claimed job may have passed without effect; the claim of a queued job checks it.
local function needs_expiry(job)
  local expires = tonumber(job.expires)
  if expires == 0 or job.status == 'running' or job.status == 'sending' then return false end
  return job.status ~= 'queued' or expires > now
end

local function check_unended(job)
  if not READ_KINDS[job.kind] then check_text(job) end
  if is_follower_export(job) then check_rows(job) end
  check_photo(job)
  if needs_expiry(job) then must_be_listed(job, 'hg:expiry', job.expires, 'expires_at ignored') end
  must_be_reachable(job)
  if is_claimed(job) then check_turn_of(job) end
end

-- While nothing of that age can have been pruned, what is missing was lost.
local function is_within_retention(since) return tonumber(since) + CONF.keep > now end

local function check_ended(job)
  must_be_pruned(job, job.finished, retention_of(job))
  local delivery = delivery_id_of(job, job.run)
  if job.callback == '' or not is_within_retention(job.finished) then return end
  if redis.call('EXISTS', 'hg:dlv:' .. delivery) == 0 then
    report(job.id, 'no callback', delivery, function() open_delivery(job, now) end)
  end
end

-- The indexes that must list a job: also those that an earlier release does not write, once the
-- pass that does it has reached the job.
local function due_indexes(job)
  local upto = tonumber(redis.call('HGET', 'hg:indexed', 'upto') or 0)
  return tonumber(job.seq) <= upto and lists_of(job) or job_indexes.first(job)
end

local function check_job(id)
  local job = read_and_report(id, JOB_SHAPE)
  if not job then return end
  for _, index in ipairs(due_indexes(job)) do
    must_be_listed(job, index, job.seq, 'not indexed')
  end
  if FINAL[job.status] then check_ended(job) else check_unended(job) end
end

-- Rows of follower exports

local function check_export(id)
  local job, broken = read_sound(id, JOB_SHAPE)
  if broken then return end
  for _, key in ipairs({rows_key(id), seen_key(id)}) do
    local left = redis.call('PTTL', key)
    if not job and left ~= -2 then
      report(id, 'no record', key, function() redis.call('UNLINK', key) end)
    elseif job and FINAL[job.status] and left == -1 then
      report(id, 'never deleted', key, function()
        redis.call('PEXPIRE', key, CONF.keep_bodies)
      end)
    end
  end
end

-- Deliveries

local function check_owed(delivery)
  if delivery.job ~= '' and is_within_retention(delivery.created) and
      redis.call('EXISTS', 'hg:job:' .. delivery.job) == 0 then
    report(delivery.id, 'no job', delivery.job)
  end
  must_be_reachable(delivery)
end

local function check_delivery(id)
  local delivery = read_and_report(id, DELIVERY_SHAPE)
  if not delivery then return end
  must_be_listed(delivery, 'hg:dlvs', delivery.seq, 'not indexed')
  must_be_listed(delivery, 'hg:dlvs:status:' .. delivery.status, delivery.seq, 'not indexed')
  if WORK_INDEXES[delivery.status] then
    check_owed(delivery)
  else
    must_be_pruned(delivery, delivery.ended)
  end
end

-- Events

-- The same for an event.
local function due_event_indexes(event)
  local upto = tonumber(redis.call('HGET', 'hg:indexed', 'events') or 0)
  return tonumber(event.seq) <= upto and event_indexes.of(event) or {'hg:events'}
end

local function check_event(member)
  local event = read_and_report(member, EVENT_SHAPE)
  if not event then return end
  for _, index in ipairs(due_event_indexes(event)) do
    must_be_listed(event, index, event.seq, 'not indexed')
  end
end

-- Accounts

local function check_account(account)
  local key = 'hg:acct:' .. account
  local holder, ends = turn_holder(account), redis.call('ZSCORE', 'hg:turns', account)
  local function grant() grant_turn(account, now) end
  if not holder then
    if ends then return report(account, 'turn without a job', 'hg:turns', grant) end
    if is_stuck(account, now) then report(account, 'stuck queue', key .. ':line', grant) end
    return
  end
  local is_hash, job = pcall(load_job, holder)
  if is_hash and job and is_newer(job) then return end
  if not (is_hash and job and job.status) or FINAL[job.status] then
    return report(account, 'stale turn', holder, grant)
  end
  if not ends then
    report(account, 'turn never expires', 'hg:turns', function()
      redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
    end)
  end
end

-- Members of indexes

-- Checks that a member belongs in its index; then returns its record.
local function check_member(index, id)
  if not redis.call('ZSCORE', index, id) then return nil end
  local record, broken = read_sound(id, shape_of(id))
  if broken then return nil end
  if record and belongs(record, index) then return record end
  report(id, record and 'wrong index' or 'no record', index, function()
    redis.call('ZREM', index, id)
    local prefix = string.match(index, '^hg:[jd]%a+:status:')
    if prefix and record then redis.call('ZADD', prefix .. record.status, record.seq, id) end
  end)
end

-- Slices of unended work

-- Checks the next members of an index; returns the score of the last one, or nil when the index
-- is done.
local function check_slice(index, after)
  local left = limit - checked
  local slice = redis.call('ZRANGEBYSCORE', index, '(' .. after, '+inf', 'WITHSCORES',
    'LIMIT', 0, left)
  for i = 1, #slice, 2 do
    local record = check_member(index, slice[i])
    if record then must_be_reachable(record) end
  end
  checked = checked + #slice / 2
  return #slice / 2 == left and slice[#slice] or nil
end

-- Checks indexes from where the last call stopped; returns whether the last one is done.
local function check_slices()
  local stopped_in, after = string.match(redis.call('GET', 'hg:sweep') or '', '^(%S+) (%S+)$')
  local is_known = false
  for _, index in argument_groups(ARGV, FIRST_PAIR, 2) do
    is_known = is_known or index == stopped_in
  end
  for _, index in argument_groups(ARGV, FIRST_PAIR, 2) do
    if not is_known or index == stopped_in then
      local last = check_slice(index, is_known and after or '0')
      is_known = false
      if last then
        redis.call('SET', 'hg:sweep', index .. ' ' .. last)
        return false
      end
    end
  end
  redis.call('DEL', 'hg:sweep')
  return true
end

local CHECKS = {job = check_job, delivery = check_delivery, event = check_event,
  account = check_account, export = check_export}

if action == 'rescue' then
  local is_done = check_slices()
  return {checked, is_done and 1 or 0, problems}
end
for what, id in argument_groups(ARGV, FIRST_PAIR, 2) do
  if checked == limit then return {checked, 0, problems} end
  if CHECKS[what] then CHECKS[what](id) else check_member(what, id) end
  checked = checked + 1
end
return {checked, 1, problems}
