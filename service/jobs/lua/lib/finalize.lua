-- The ends of jobs and of claims.
--- @include "config"
--- @include "records"
--- @include "transitions"
--- @include "account_queue"
--- @include "lookup_cache"
--- @include "follower_pages"
--- @include "deliveries"
--- @include "stats"

-- Lookups are many, and what they found is kept elsewhere.
local function retention_of(job)
  return job.kind == 'lookup' and math.min(DAY, CONF.keep) or CONF.keep
end

-- Only a job that may be sent again still needs its text, and what tells an encrypted one apart.
local RETRYABLE = {failed = true, uncertain = true}

-- A retry of an encrypted text needs its hash. So does what remembers the recipient of a DM that no
-- rule has made, if the person is erased.
local function needs_text_hash(job, to)
  if RETRYABLE[to] and job.v == VERSION then return true end
  return CONF.repeats > 0 and job.kind == 'dm' and
    string.find(job.source, '"rule":null', 1, true) ~= nil
end

-- Ends a job. Its final state, its callback and the account's next turn are one step: no job ends
-- in any other way.
local function finalize(job, to, now, by, why, result, failure)
  local fields = {finished = now, result = result or '', error = failure or '', owner = '',
    lease = 0, wait_reason = '', wait_until = 0, cancel = '', lane = '', renewed = 0,
    charged = '', misses = 0, looks = 0, strikes = 0, refusals = 0, resends = 0, echoes = 0,
    text_hash = needs_text_hash(job, to) and job.text_hash or '', doubt = ''}
  settle_call(job, now, true, fields)
  remove_from_queues(job)
  if tonumber(job.expires) > 0 then redis.call('ZREM', 'hg:expiry', job.id) end
  if FINAL[job.status] then stats.uncount_end(job, now) end
  transition(job, to, now, by, why, fields)
  count('end', job.kind, to)
  stats.count_end(job, now)
  if RETRYABLE[to] then
    redis.call('PEXPIRE', 'hg:jobtext:' .. job.id, CONF.keep_bodies)
  else
    redis.call('DEL', 'hg:jobtext:' .. job.id)
  end
  if job.photo then redis.call('DEL', 'hg:jobphoto:' .. job.id) end
  retain_until(job.id, now + retention_of(job))
  if job.kind == 'lookup' then complete_lookup(job, now) end
  if is_follower_export(job) then close_export(job) end
  if job.callback ~= '' then open_delivery(job, now) end
  release_turn(job, now)
end

local function is_expired(job, now)
  return tonumber(job.expires) > 0 and now >= tonumber(job.expires)
end

local function expire(job, now, by)
  finalize(job, 'expired', now, by, 'past expires_at', nil,
    '{"code":"expired","message":"The job did not end before expires_at.","retryable":false}')
end

-- Ends a job that is not worth another attempt; returns whether it did.
local function end_if_hopeless(job, now, by)
  if is_expired(job, now) then
    expire(job, now, by)
  elseif tonumber(job.attempts) >= MAX_ATTEMPTS then
    finalize(job, 'failed', now, by, 'too many attempts', nil,
      '{"code":"attempts_exhausted","message":"The job was started ' .. MAX_ATTEMPTS ..
      ' times and never finished: see the workers\' logs.","retryable":true}')
  else
    return false
  end
  return true
end

-- Takes a job from a claim whose lease has expired. A server may still store a write after its
-- sender was killed, so the verification lookup waits until that has settled. This is counted from
-- the last renewal; the lease alone does not tell it, for its holder's may be of another length.
-- A time in the future (clock_steps.lua) counts as now.
local function expire_lease(job, now, by)
  local fields = {owner = '', lease = 0}
  count('attempt', job.kind, 'lapsed')  -- the counter's stored name (stored_names.py)
  settle_call(job, now, true, fields)
  if job.status == 'sending' then
    local renewed = tonumber(job.renewed or 0)
    local last = math.min(now, math.max(job.intent_at, renewed, job.lease - CONF.lease))
    local settled = last + CONF.settle
    remove_from_queues(job)
    set_fields(job, fields)
    append_timeline(job, now, 'sending', by, 'lease expired')
    redis.call('ZADD', 'hg:due', math.max(now, settled), job.id)
    return
  end
  set_fields(job, fields)
  if job.cancel ~= '' then
    finalize(job, 'canceled', now, job.cancel, 'requested')
  else
    requeue_or_grant(job, now, by, 'lease expired')
  end
end
