-- Walks over followers: a job that reads one page a claim and stands in line again.
--   hg:rows:{id}    zset: how many rows come before -> some rows, packed (service/followers/rows.py)
--   hg:walked:{id}  set: the pks that are among them, while there are pages to come
-- In the job's hash: pk (whose), cursor (of the next page), pages, users, expected, most, eta,
-- barren (how many pages in a row have brought nobody new), paged (the claim of the last page).

-- After so many a walk goes round in circles.
local MOST_BARREN = 10
-- Of a walk that has seen no page yet: how many users one has.
local USUAL_PAGE = 200
-- A guess at one call.
local CALL = 1500

local function is_walk(job) return READS[job.kind] == 'walk' end

local function rows_key(id) return 'hg:rows:' .. id end

local function walked_key(id) return 'hg:walked:' .. id end

-- Its rows are kept for a while after its end; the pks only as long as it may go on.
local function close_walk(job)
  redis.call('PEXPIRE', rows_key(job.id), CONF.keep_bodies)
  if job.status == 'failed' then
    redis.call('PEXPIRE', walked_key(job.id), CONF.keep_bodies)
  else
    redis.call('UNLINK', walked_key(job.id))
  end
end

-- Whether all that the walk has found is there; a store that evicts may have lost a part.
local function is_whole(job)
  local users = tonumber(job.users or 0)
  return redis.call('SCARD', walked_key(job.id)) == users and
    (users == 0 or redis.call('EXISTS', rows_key(job.id)) == 1)
end

-- A failed walk goes on where it was: false when its rows are no longer kept.
local function reopen_walk(job)
  if not is_whole(job) then return false end
  redis.call('PERSIST', rows_key(job.id))
  redis.call('PERSIST', walked_key(job.id))
  set(job, {barren = 0})
  return true
end

-- When a window of `span` has room for the last of `reads` more, at the earliest.
local function window_at(key, most, span, reads, now)
  local rounds = math.floor((reads - 1) / most)
  local since = '(' .. digits(now - span)
  local used = redis.call('ZCOUNT', key, since, '+inf')
  local must_leave = used + (reads - rounds * most) - most
  if must_leave <= 0 then return now + rounds * span end
  local last = redis.call('ZRANGEBYSCORE', key, since, '+inf', 'WITHSCORES', 'LIMIT', must_leave - 1, 1)
  return last[2] + span + rounds * span
end

-- When so many more reads may have been made, the first of them at `from`: by the mean gap and by
-- what is left of the hour and the day. At the end of its first days an account is allowed more.
local function reads_until(name, reads, from, now)
  local terms = limits_of(name)
  local own = terms.paces.lookup
  local each = CALL + (own and (own.gap[1] + own.gap[2]) / 2 or 0)
  local at = from + (reads - 1) * each + CALL
  if not own then return at end
  local key, per_hour, per_day = spent_key(name, 'lookup'), most_of(name, 'lookup', now)
  at = math.max(at, window_at(key, per_hour, HOUR, reads, now), window_at(key, per_day, DAY, reads, now))
  local ramp_ends = (terms.since or -RAMP) + RAMP
  if now >= ramp_ends or at <= ramp_ends then return at end
  local slowly = math.floor((ramp_ends - now) / math.max(each, HOUR / per_hour, DAY / per_day))
  local left = math.max(1, reads - slowly)
  return math.min(at, ramp_ends + math.max(left * each,
    math.floor((left - 1) / own.per_hour) * HOUR, math.floor((left - 1) / own.per_day) * DAY))
end

-- When the walk may have ended, its next page read at `from`; 0 where that cannot be told.
local function walk_until(job, from, now)
  if (job.pk or '') == '' then return 0 end
  local users, pages = tonumber(job.users), tonumber(job.pages)
  local a_page = pages > 0 and math.max(1, users / pages) or USUAL_PAGE
  local left = math.max(0, job.expected - users)
  return math.floor(reads_until(job.account, math.max(1, math.ceil(left / a_page)), from, now))
end
