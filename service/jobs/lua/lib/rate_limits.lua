-- Whether an account may do a kind of work now: pauses, holds, cooldowns, quiet hours, budgets.
-- scripts.py puts `own_limits` and `changes_of` (limits.py) before it. A lane is work that
-- passes the same doors; the line has one queue for each.

local HOUR, DAY = 3600000, 86400000
-- How long a new account is held to less.
local RAMP = 14 * DAY

-- What one job of a lane is charged to, and what kind of action it is. Looking for a write in
-- doubt (`look`) is neither. A release that does not know walks puts them in lanes of their kinds.
local CHARGED = {look = {}, dm = {'dm'}, dm_new_thread = {'dm', 'dm_new_thread'},
  dm_unknown = {'dm'}, comment = {'comment'}, lookup = {'lookup'}, walk = {'lookup'},
  followers = {'lookup'}, following = {'lookup'}}
local KIND_OF = {dm = 'dm', dm_new_thread = 'dm', dm_unknown = 'dm', comment = 'comment',
  lookup = 'lookup', walk = 'lookup', followers = 'lookup', following = 'lookup'}
local THREADS = {old = 'dm', new = 'dm_new_thread'}

-- Where a write may have happened, the job looks before it does anything else.
local function lane_of(job)
  if READS[job.kind] then return READS[job.kind] end
  if job.status == 'sending' or tonumber(job.intent_at or 0) > 0 then return 'look' end
  if job.kind ~= 'dm' then return job.kind end
  return THREADS[job.thread] or 'dm_unknown'
end

local function account_of(name) return load_hash('hg:acct:' .. name) or {} end

local function limits_of(name)
  run.limits = run.limits or {}
  run.limits[name] = run.limits[name] or own_limits(name)
  return run.limits[name]
end

local function spent_key(name, pace) return 'hg:acct:' .. name .. ':spent:' .. pace end

-- The most actions in an hour and in a day; nil where nothing bounds them.
local function most_of(name, pace, now)
  local terms = limits_of(name)
  local own = terms.paces[pace]
  if not own then return nil end
  if not terms.since or now >= terms.since + RAMP then return own.per_hour, own.per_day end
  return math.min(own.per_hour, own.new_per_hour), math.min(own.per_day, own.new_per_day)
end

-- When a window of `span` has room for one more action: nil for now.
local function room_at(key, most, span, now)
  local since = '(' .. digits(now - span)
  local used = redis.call('ZCOUNT', key, since, '+inf')
  if used < most then return nil end
  local oldest = redis.call('ZRANGEBYSCORE', key, since, '+inf', 'WITHSCORES', 'LIMIT', used - most, 1)
  return oldest[2] + span
end

-- What stands in the way of one more action of a pace, and until when; nil for nothing.
local function full(name, account, pace, now)
  local per_hour, per_day = most_of(name, pace, now)
  if not per_hour then return nil end
  local why, till = nil, now
  local function later(limit, at)
    if at and at > till then why, till = pace .. '_' .. limit, at end
  end
  later('gap', tonumber(account['gap:' .. pace] or 0))
  -- Mostly there is room for all that has been done in a day and a little longer.
  local key = spent_key(name, pace)
  local done = redis.call('ZCARD', key)
  if done >= per_hour then later('per_hour', room_at(key, per_hour, HOUR, now)) end
  if done >= per_day then later('per_day', room_at(key, per_day, DAY, now)) end
  -- At the end of its first days an account is allowed more.
  local ramp_ends = (limits_of(name).since or now) + RAMP
  if why and why ~= pace .. '_gap' and now < ramp_ends then till = math.min(till, ramp_ends) end
  return why, till
end

local function offset_at(zone, ms)
  local offset = 0
  for _, change in ipairs(changes_of(zone)) do
    if change[1] > ms then break end
    offset = change[2]
  end
  return offset
end

-- The end of the quiet hours that are on; nil outside of them.
local function quiet_until(name, now)
  local quiet = limits_of(name).quiet
  if not quiet then return nil end
  local here = now + offset_at(quiet.zone, now)
  local minute = math.floor(here / 60000) % 1440
  local after, before = minute >= quiet.from, minute < quiet.to
  local inside
  if quiet.from < quiet.to then inside = after and before else inside = after or before end
  if not inside then return nil end
  local ends = math.floor(here / DAY) * DAY + quiet.to * 60000
  if ends <= here then ends = ends + DAY end
  -- The clocks may change meanwhile, and skip the minute itself: then the change is the end.
  local till = ends - offset_at(quiet.zone, now)
  for _, change in ipairs(changes_of(quiet.zone)) do
    if change[1] > now and change[1] <= till then till = math.max(change[1], ends - change[2]) end
  end
  return till
end

-- What a person has stopped: why, or nil.
local function stopped(account, kind)
  if run.paused == nil then run.paused = redis.call('HGET', 'hg:paused', 'why') end
  if run.paused then return run.paused end
  if account.hold then return account.hold end
  if kind and account['pause:' .. (READS[kind] and 'lookup' or kind)] then return 'paused' end
  return nil
end

-- Whether a DM may be sent is known once its recipient was looked up: that is a look-up ahead of
-- its turn when only a DM into a thread that exists could go now.
local function probe_at(name, account, now)
  local why, at = full(name, account, 'dm_new_thread', now)
  if not why then return nil end
  local busy, free_at = full(name, account, 'lookup', now)
  if not busy then return nil end
  return why, math.min(at, free_at)
end

-- Why a lane is closed and until when (0: until a person opens it); nil when it is open.
local function door(name, account, lane, now)
  local kind = KIND_OF[lane]
  local halt = stopped(account, kind)
  if halt then return halt, 0 end
  -- A lane that only a newer release knows: its processes look after it.
  if not CHARGED[lane] then return 'newer_release', now + CONF.lease end
  local why, till = nil, now
  local function later(reason, at)
    if reason and at and at > till then why, till = reason, at end
  end
  for _, each in ipairs({'*', kind}) do
    later(account['cool_why:' .. each], tonumber(account['cool:' .. each] or 0))
  end
  -- In quiet hours nothing is sent; reading disturbs nobody.
  if kind and kind ~= 'lookup' then later('quiet_hours', quiet_until(name, now)) end
  for _, pace in ipairs(CHARGED[lane]) do later(full(name, account, pace, now)) end
  if lane == 'dm_unknown' then later(probe_at(name, account, now)) end
  return why, till
end

-- Spread evenly over a gap; Redis' own random numbers are the same in every run of a script.
local function jittered(gap, seed)
  local share = tonumber(string.sub(redis.sha1hex(seed), 1, 8), 16) / 0xffffffff
  return math.floor(gap[1] + (gap[2] - gap[1]) * share)
end

-- Adds to the fields of an account when it may do the like again.
local function begin_gap(fields, name, pace, now, seed)
  local own = limits_of(name).paces[pace]
  if own then
    local n = #fields
    fields[n + 1], fields[n + 2] = 'gap:' .. pace, digits(now + jittered(own.gap, seed))
  end
end

local function begin_gaps(name, fields)
  if fields[1] then redis.call('HSET', 'hg:acct:' .. name, unpack(fields)) end
end

local function charge(name, pace, member, now)
  local key = spent_key(name, pace)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now - DAY))
  redis.call('ZADD', key, now, member)
  redis.call('PEXPIRE', key, DAY)
end

-- Reads that served a job, counted as look-ups for which it did not wait.
local function charge_reads(job, reads, now)
  local gaps
  for _ = 1, tonumber(reads) do
    local member = job.id .. ':read:' .. digits(now_seq())
    charge(job.account, 'lookup', member, now)
    gaps = {}
    begin_gap(gaps, job.account, 'lookup', now, member)
  end
  if gaps then begin_gaps(job.account, gaps) end
end

-- Before a write, or what a read is for: its budgets are charged, whatever becomes of it.
local function begin_write(job, now)
  local gaps, member = {}, job.id .. ':' .. job.fence
  job.writing = lane_of(job)
  for _, pace in ipairs(CHARGED[job.writing]) do
    charge(job.account, pace, member, now)
    begin_gap(gaps, job.account, pace, now, member)
  end
  begin_gaps(job.account, gaps)
end

-- After it, or when it may have ended at the latest: gap and windows run from here. One that was
-- never sent is given back. That it is over stands in the fields that the caller writes next.
local function end_write(job, now, sent, fields)
  if (job.writing or '') == '' then return end
  local gaps, member = {}, job.id .. ':' .. job.charged
  for _, pace in ipairs(CHARGED[job.writing] or {}) do
    if sent then
      redis.call('ZADD', spent_key(job.account, pace), 'XX', now, member)
      redis.call('PEXPIRE', spent_key(job.account, pace), DAY)
      begin_gap(gaps, job.account, pace, now, member)
    else
      redis.call('ZREM', spent_key(job.account, pace), member)
      redis.call('HDEL', 'hg:acct:' .. job.account, 'gap:' .. pace)
    end
  end
  begin_gaps(job.account, gaps)
  fields.writing = ''
end
