-- Follower exports: a job that reads one page a claim, and waits in the account queue again.
--   hg:rows:{id}    zset: how many rows come before -> a batch of rows (service/followers/rows.py)
--   hg:walked:{id}  set: the user ids among them, as long as pages may follow
-- In the job's hash: pk (whose followers), cursor (of the next page), pages, users (rows stored),
-- expected (rows in all), most (the most rows that are wanted, 0 for all), eta, paged (the claim
-- that stored the last page), dropped (entries of pages that name no user).
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "rate_limits"

-- How many users a page has, until the export has seen one.
local USUAL_PAGE_USERS = 200
-- A guess at how long one call takes.
local CALL_MS = 1500

local function rows_key(id) return 'hg:rows:' .. id end

local function seen_key(id) return 'hg:walked:' .. id end

-- Rows are kept for a while after the job's end; the user ids only if it may go on.
local function close_export(job)
  redis.call('PEXPIRE', rows_key(job.id), CONF.keep_bodies)
  if job.status == 'failed' then
    redis.call('PEXPIRE', seen_key(job.id), CONF.keep_bodies)
  else
    redis.call('UNLINK', seen_key(job.id))
  end
end

-- Whether all rows are there that the export has found; a store that evicts may have lost some.
local function has_all_rows(job)
  local users = tonumber(job.users or 0)
  return redis.call('SCARD', seen_key(job.id)) == users and
    (users == 0 or redis.call('EXISTS', rows_key(job.id)) == 1)
end

-- Lets a failed export go on from its last page; false when its rows are no longer kept.
local function reopen_export(job)
  if not has_all_rows(job) then return false end
  redis.call('PERSIST', rows_key(job.id))
  redis.call('PERSIST', seen_key(job.id))
  set_fields(job, {barren = 0, slow = 0, repeats = 0})
  return true
end

-- When a window of `span` ms has room for the last of `reads` more reads, at the earliest.
local function window_allows_at(key, most, span, reads, now)
  local rounds = math.floor((reads - 1) / most)
  local must_leave = spent_in(key, span, now) + (reads - rounds * most) - most
  local last = must_leave > 0 and nth_spent_at(key, span, must_leave - 1, now) + span or now
  return last + rounds * span
end

-- When so many more reads may have been made, the first of them at `from`: by the mean gap and by
-- what is left of the hour and the day. When its first days end, an account is allowed more.
local function estimate_reads(account, reads, from, now)
  local config = config_of(account)
  local own = config.limits.lookup
  local each = CALL_MS + (own and (own.gap[1] + own.gap[2]) / 2 or 0)
  local at = from + (reads - 1) * each + CALL_MS
  if not own then return at end
  local key, per_hour, per_day = spent_key(account, 'lookup'), budgets_of(account, 'lookup', now)
  at = math.max(at, window_allows_at(key, per_hour, HOUR, reads, now),
    window_allows_at(key, per_day, DAY, reads, now))
  local ramp_ends = (config.since or -RAMP) + RAMP
  if now >= ramp_ends or at <= ramp_ends then return at end
  local slowly = math.floor((ramp_ends - now) / math.max(each, HOUR / per_hour, DAY / per_day))
  local left = math.max(1, reads - slowly)
  return math.min(at, ramp_ends + math.max(left * each,
    math.floor((left - 1) / own.per_hour) * HOUR, math.floor((left - 1) / own.per_day) * DAY))
end

-- When the export may have ended, its next page read at `from`; 0 for unknown.
local function estimate_export_end(job, from, now)
  if (job.pk or '') == '' then return 0 end
  local users, pages = tonumber(job.users), tonumber(job.pages)
  local per_page = pages > 0 and math.max(1, users / pages) or USUAL_PAGE_USERS
  local reads = math.max(1, math.ceil(math.max(0, job.expected - users) / per_page))
  return math.floor(estimate_reads(job.account, reads, from, now))
end
