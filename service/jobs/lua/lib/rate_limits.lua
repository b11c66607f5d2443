-- Whether an account may do a kind of work now: pauses, holds, cooldowns, quiet hours, gaps and
-- budgets.
--
-- Jobs of an account that are charged to the same budgets wait in one sub-queue.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "history"

-- How long a new account has lower limits.
local RAMP = 14 * DAY

-- The limits that a job of each sub-queue is charged to. A verification lookup (`look`) is charged
-- to none. Releases that do not know follower exports put them in sub-queues of their kinds.
local CHARGED_LIMITS = {look = {}, dm = {'dm'}, dm_new_thread = {'dm', 'dm_new_thread'},
  dm_unknown = {'dm'}, comment = {'comment'}, lookup = {'lookup'}, walk = {'lookup'}, report = {},
  followers = {'lookup'}, following = {'lookup'}}
-- The kind of action that pauses, cooldowns and quiet hours go by; verification has none.
local KIND_OF = {dm = 'dm', dm_new_thread = 'dm', dm_unknown = 'dm', comment = 'comment',
  lookup = 'lookup', walk = 'lookup', followers = 'lookup', following = 'lookup',
  report = 'report'}
local SUB_QUEUE_OF_THREAD = {old = 'dm', new = 'dm_new_thread'}

-- Where a write may have happened, the job verifies that before it does anything else.
local function sub_queue_of(job)
  if READ_KINDS[job.kind] then return READ_KINDS[job.kind] end
  if job.status == 'sending' or tonumber(job.intent_at or 0) > 0 then return 'look' end
  if job.kind ~= 'dm' then return job.kind end
  return SUB_QUEUE_OF_THREAD[job.thread] or 'dm_unknown'
end

-- The hash of an account: its holds, pauses, cooldowns and gaps.
local function load_account(account) return load_hash('hg:acct:' .. account) or {} end

-- What the configuration says of an account.
local function config_of(account)
  run.configs = run.configs or {}
  run.configs[account] = run.configs[account] or account_config(account)
  return run.configs[account]
end

local function spent_key(account, limit) return 'hg:acct:' .. account .. ':spent:' .. limit end

-- How many actions were charged to a budget in the last `span` ms.
local function spent_in(key, span, now)
  return redis.call('ZCOUNT', key, '(' .. digits(now - span), '+inf')
end

-- The most actions in an hour and in a day; nil where nothing bounds them.
local function budgets_of(account, limit, now)
  local config = config_of(account)
  local own = config.limits[limit]
  if not own then return nil end
  if not config.since or now >= config.since + RAMP then return own.per_hour, own.per_day end
  return math.min(own.per_hour, own.new_per_hour), math.min(own.per_day, own.new_per_day)
end

-- When the nth action (from 0) of the last `span` ms was charged to a budget. One in the future
-- (clock_steps.lua) counts as now.
local function nth_spent_at(key, span, n, now)
  return math.min(now, redis.call('ZRANGEBYSCORE', key, '(' .. digits(now - span), '+inf',
    'WITHSCORES', 'LIMIT', n, 1)[2])
end

-- When a window of `span` ms with a budget of `most` has room for one more action; nil for now.
local function window_opens_at(key, most, span, now)
  local used = spent_in(key, span, now)
  if used < most then return nil end
  return nth_spent_at(key, span, used - most, now) + span
end

-- Which part of a limit keeps the account from one more action, and until when; nil for none.
local function limit_reached(account, state, limit, now)
  local per_hour, per_day = budgets_of(account, limit, now)
  if not per_hour then return nil end
  local why, till = nil, now
  local function later(part, at)
    if at and at > till then why, till = limit .. '_' .. part, at end
  end
  later('gap', tonumber(state['gap:' .. limit] or 0))
  -- Usually the budgets have room for more than was done in the last day and a little longer.
  local key = spent_key(account, limit)
  local done = redis.call('ZCARD', key)
  if done >= per_hour then later('per_hour', window_opens_at(key, per_hour, HOUR, now)) end
  if done >= per_day then later('per_day', window_opens_at(key, per_day, DAY, now)) end
  -- When its first days end, an account is allowed more.
  local ramp_ends = (config_of(account).since or now) + RAMP
  if why and why ~= limit .. '_gap' and now < ramp_ends then till = math.min(till, ramp_ends) end
  return why, till
end

local function utc_offset(zone, ms)
  local offset = 0
  for _, change in ipairs(clock_changes(zone)) do
    if change[1] > ms then break end
    offset = change[2]
  end
  return offset
end

-- When the quiet hours end; nil outside of them.
local function quiet_until(account, now)
  local quiet = config_of(account).quiet
  if not quiet then return nil end
  local here = now + utc_offset(quiet.zone, now)
  local minute = math.floor(here / 60000) % 1440
  local after, before = minute >= quiet.from, minute < quiet.to
  local inside
  if quiet.from < quiet.to then inside = after and before else inside = after or before end
  if not inside then return nil end
  local ends = math.floor(here / DAY) * DAY + quiet.to * 60000
  if ends <= here then ends = ends + DAY end
  -- The clocks may change before then, and skip that minute: then the change is the end.
  local till = ends - utc_offset(quiet.zone, now)
  for _, change in ipairs(clock_changes(quiet.zone)) do
    if change[1] > now and change[1] <= till then till = math.max(change[1], ends - change[2]) end
  end
  return till
end

-- The pause or hold that only a person ends; nil for none. A report asks nothing of Instagram.
local function paused_by(state, kind)
  if kind == 'report' then return nil end
  if run.paused == nil then run.paused = redis.call('HGET', 'hg:paused', 'why') end
  if run.paused then return run.paused end
  if state.hold then return state.hold end
  if kind and state['pause:' .. (READ_KINDS[kind] and 'lookup' or kind)] then return 'paused' end
  return nil
end

-- Whether a DM opens a thread is known only after a lookup. Where neither a DM that opens a thread
-- nor a lookup may be made now, the job waits for the first of the two.
local function thread_check_at(account, state, now)
  local why, at = limit_reached(account, state, 'dm_new_thread', now)
  if not why then return nil end
  local lookup_why, lookup_at = limit_reached(account, state, 'lookup', now)
  if not lookup_why then return nil end
  return why, math.min(at, lookup_at)
end

-- What keeps a sub-queue closed, and until when (0: until a person opens it); nil when it is open.
local function blocked_by(account, state, sub_queue, now)
  local kind = KIND_OF[sub_queue]
  if kind == 'report' then return nil end
  local pause = paused_by(state, kind)
  if pause then return pause, 0 end
  -- Processes of the newer release look after a sub-queue that only they know.
  if not CHARGED_LIMITS[sub_queue] then return 'newer_release', now + CONF.lease end
  local why, till = nil, now
  local function later(reason, at)
    if reason and at and at > till then why, till = reason, at end
  end
  for _, each in ipairs({'*', kind}) do
    later(state['cool_why:' .. each], tonumber(state['cool:' .. each] or 0))
  end
  if kind and kind ~= 'lookup' then later('history_lost', history.writes_resume_at()) end
  -- In quiet hours nothing is sent; reading disturbs nobody.
  if kind and kind ~= 'lookup' then later('quiet_hours', quiet_until(account, now)) end
  for _, limit in ipairs(CHARGED_LIMITS[sub_queue]) do
    later(limit_reached(account, state, limit, now))
  end
  if sub_queue == 'dm_unknown' then later(thread_check_at(account, state, now)) end
  return why, till
end

-- Spread evenly over the gap. Redis' own random numbers are the same in every run of a script.
local function jittered(gap, seed)
  local share = tonumber(string.sub(redis.sha1hex(seed), 1, 8), 16) / 0xffffffff
  return math.floor(gap[1] + (gap[2] - gap[1]) * share)
end

-- Adds to the fields of an account when its next action under a limit may begin.
local function add_gap(fields, account, limit, now, seed)
  local own = config_of(account).limits[limit]
  if own then
    local n = #fields
    fields[n + 1], fields[n + 2] = 'gap:' .. limit, digits(now + jittered(own.gap, seed))
  end
end

-- Where the clock is set back, all accounts that have gaps and budgets are gone through.
local function store_gaps(account, fields)
  if not fields[1] then return end
  redis.call('HSET', 'hg:acct:' .. account, unpack(fields))
  add_to_set('hg:accts', account)
end

local function charge_budget(account, limit, member, now)
  local key = spent_key(account, limit)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now - DAY))
  redis.call('ZADD', key, now, member)
  redis.call('PEXPIRE', key, DAY)
end

-- Charges the reads that served a job as lookups, though it did not wait for their budget.
local function charge_reads(job, reads, now)
  local gaps
  for _ = 1, tonumber(reads) do
    local member = job.id .. ':read:' .. digits(next_seq())
    charge_budget(job.account, 'lookup', member, now)
    gaps = {}
    add_gap(gaps, job.account, 'lookup', now, member)
  end
  if gaps then store_gaps(job.account, gaps) end
end

-- Before a call (a write, or what a read is for): charges its budgets, whatever comes of it.
local function charge_call(job, now)
  local gaps, member = {}, job.id .. ':' .. job.fence
  job.writing = sub_queue_of(job)
  for _, limit in ipairs(CHARGED_LIMITS[job.writing]) do
    charge_budget(job.account, limit, member, now)
    add_gap(gaps, job.account, limit, now, member)
  end
  store_gaps(job.account, gaps)
end

-- After the call, or when it may have ended at the latest: gaps and windows run from here. A call
-- that was never sent is refunded. The caller writes `fields`, which say that it is over.
local function settle_call(job, now, sent, fields)
  if (job.writing or '') == '' then return end
  local gaps, member = {}, job.id .. ':' .. job.charged
  for _, limit in ipairs(CHARGED_LIMITS[job.writing] or {}) do
    if sent then
      redis.call('ZADD', spent_key(job.account, limit), 'XX', now, member)
      redis.call('PEXPIRE', spent_key(job.account, limit), DAY)
      add_gap(gaps, job.account, limit, now, member)
    else
      redis.call('ZREM', spent_key(job.account, limit), member)
      redis.call('HDEL', 'hg:acct:' .. job.account, 'gap:' .. limit)
    end
  end
  store_gaps(job.account, gaps)
  fields.writing = ''
end
