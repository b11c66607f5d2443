-- Results of lookups, shared by all processes, and the one job that looks a target up.
--   hg:found:{target}   hash: body (JSON), etag, at: the last result; problem (JSON), problem_at:
--                       why there is no newer one
--   hg:flight:{target}  id of the job whose lookup is in flight
-- A target is `user:{name}` or `post:{pk}`.
--- @include "clock"
--- @include "records"
--- @include "rate_limits"
--- @include "account_queue"

-- A result that is too old to be fresh is still better than none.
local STALE_MS = 7 * DAY
-- For how long a lookup that failed is not repeated.
local PROBLEM_MS = 60000

-- Problems of the target itself: an older result is no longer true.
local GONE_CODES = {user_not_found = true, media_not_found = true, media_unavailable = true,
  private_account = true, age_restricted = true, invalid_media_id = true}

-- Whether a moment was in the last `span` ms. One in the future (clock_steps.lua) is of no known
-- age.
local function is_within(at, span, now) return tonumber(at) <= now and tonumber(at) + span > now end

local function in_flight_key(target) return 'hg:flight:' .. target end

local function found_key(target) return 'hg:found:' .. target end

-- Shares what an ended lookup found, and lets the next one begin.
local function complete_lookup(job, now)
  if not job.target then return end
  local in_flight = in_flight_key(job.target)
  if redis.call('GET', in_flight) == job.id then redis.call('DEL', in_flight) end
  local key = found_key(job.target)
  if job.status == 'succeeded' then
    local etag = string.sub(redis.sha1hex(job.result), 1, 20)
    redis.call('HSET', key, 'body', job.result, 'etag', etag, 'at', digits(now))
    redis.call('HDEL', key, 'problem', 'problem_at')
    redis.call('PEXPIRE', key, STALE_MS)
  elseif job.status == 'failed' then
    if GONE_CODES[cjson.decode(job.error).code] then
      redis.call('HDEL', key, 'body', 'etag', 'at')
    end
    redis.call('HSET', key, 'problem', job.error, 'problem_at', digits(now))
    local has_body = redis.call('HEXISTS', key, 'body') == 1
    redis.call('PEXPIRE', key, has_body and STALE_MS or PROBLEM_MS)
  end
end

-- The job that looks a target up now; nil for none.
local function job_in_flight(target)
  local id = redis.call('GET', in_flight_key(target))
  local job = id and load_job(id)
  if job and not FINAL[job.status] then return job end
end

-- Since when a person keeps an account from reading; 0 for nobody.
local function paused_since(state)
  local since = redis.call('HGET', 'hg:paused', 'since')
  return tonumber(since or (state.hold and state.hold_since) or state['pause:lookup'] or 0)
end

-- What is left of an account's lookup budget once the jobs in its queue are done; with it, where
-- there is no room for one more, which limit is reached and until when.
local function remaining_budget(account, now)
  local per_hour, per_day = budgets_of(account, 'lookup', now)
  if not per_hour then return math.huge end
  local left, why, till = math.huge, nil, now
  local key, ahead = spent_key(account, 'lookup'), 0
  for _, sub_queue in ipairs({'lookup', 'walk'}) do
    ahead = ahead + redis.call('ZCARD', queue_key(account, sub_queue))
  end
  local function check(part, most, span)
    local free = most - ahead
    left = math.min(left, free - spent_in(key, span, now))
    local at = free < 1 and now + span or window_opens_at(key, free, span, now)
    if at and at > till then why, till = 'lookup_' .. part, at end
  end
  check('per_hour', per_hour, HOUR)
  check('per_day', per_day, DAY)
  return left, why, till
end

-- What keeps an account from lookups for longer than `patience` ms, until when (0: a person is
-- needed) and since when a person does (0 for nobody); nil for nothing.
local function lookups_blocked_by(account, now, patience)
  local state = load_account(account)
  local why, till = blocked_by(account, state, 'lookup', now)
  if why and till == 0 then return why, 0, paused_since(state) end
  if why and till > now + patience then return why, till, 0 end
end

-- The account for a lookup: of those that may make it now, or within `patience` ms, the one with
-- most of its budget left. An account that is busy has one less, and comes after its equals. Where
-- there is none: nil, and why, until and since of the one that opens first, as
-- `lookups_blocked_by` returns them.
local function pick_account(accounts, now, patience)
  local best, most, best_busy, why, till, since
  local function record_blocked(reason, opens, paused)
    if why and not (opens > 0 and (till == 0 or opens < till)) then return end
    why, till, since = reason, opens, paused
  end
  for _, account in ipairs(accounts) do
    local left, limit, room_at = remaining_budget(account, now)
    local reason, opens, paused = lookups_blocked_by(account, now, patience)
    if not reason and limit and room_at > now + patience then
      reason, opens, paused = limit, room_at, 0
    end
    if reason then
      record_blocked(reason, opens, paused)
    else
      local busy = redis.call('EXISTS', 'hg:acct:' .. account .. ':turn')
      left = left - busy
      if not best or left > most or (left == most and busy < best_busy) then
        best, most, best_busy = account, left, busy
      end
    end
  end
  return best, why, till, since
end

-- In how many ms a job in the queue may have been done, by its account's gap: an estimate.
local function estimated_wait(job)
  local own = config_of(job.account).limits.lookup
  local place = redis.call('ZRANK', queue_key(job.account, 'lookup'), job.id)
  return own and place and (place + 1) * (own.gap[1] + own.gap[2]) / 2 or 0
end

-- What get_or_start_lookup.lua and get_lookup.lua reply for a target: {the flat hash of what was
-- found; the job that looks it up, or ''; what keeps accounts from it, or ''; until when (unix ms;
-- 0: a person is needed); since when a person does (unix ms; 0 for nobody); in how many ms it is
-- worth asking again (0 for unknown); now}
local function lookup_state(target, now, job, why, till, since)
  local key = found_key(target)
  local ask_again
  if why then
    ask_again = (till or 0) > 0 and till - now or 0
  elseif job then
    ask_again = estimated_wait(job)
  else
    local problem_at = redis.call('HGET', key, 'problem_at') or 0
    ask_again = is_within(problem_at, PROBLEM_MS, now) and problem_at + PROBLEM_MS - now or 0
  end
  return {redis.call('HGETALL', key), job and job.id or '', why or '', digits(till or 0),
    digits(since or 0), digits(ask_again), now}
end
