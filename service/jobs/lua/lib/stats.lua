-- Counts of what ended, by the hour, for people (service/stats/). No name or text of a person is in
-- them.
--   hg:stats:{hour}   hash: what ended in that hour (UTC, counted since 1970) -> how often; expires
-- Fields
--   job:{account}:{rule}:{kind}:{outcome}:{detail}   runs of jobs. rule: '' for none. outcome: the
--       final state, or dry_run, which has no detail. detail: of what succeeded, the wait bucket of
--       its first run; else the code of its error
--   callback:{endpoint}:{outcome}    delivered | failed (no more attempts) | retried (an attempt
--       that another one follows)
-- Names and codes have no colon: they are those of the configuration, and words of ours.
--- @include "clock"
--- @include "records"
--- @include "job_indexes"

-- One name, whatever is in it: what the scripts share may have 200 locals.
local stats = {}

local STATS_DAYS = 400
-- The first bucket of waits has those of at most a second; each further bound is twice as long, and
-- the last bucket has no bound (service/stats/waits.py).
local LAST_BUCKET = 19

local function stats_key(hour) return 'hg:stats:' .. digits(hour) end

local function hour_of(ms) return math.floor(ms / HOUR) end

-- A field that is new may be the first of its hour, which then needs its expiry.
local function count_in_hour(hour, field, times, now)
  local key = stats_key(hour)
  if redis.call('HINCRBY', key, field, times) == times then
    redis.call('PEXPIRE', key, digits((hour + 1) * HOUR + STATS_DAYS * DAY - now))
  end
end

-- From when a job could begin to its end.
local function wait_bucket(job)
  local seconds = (job.finished - math.max(job.created, job.run_at)) / 1000
  local bucket, bound = 0, 1
  while seconds > bound and bucket < LAST_BUCKET do bucket, bound = bucket + 1, bound * 2 end
  return bucket
end

-- A worker whose runs are all dry says so in the result.
local function is_dry(job)
  return job.dry == '1' or string.find(job.result, '"dry_run":true', 1, true) ~= nil
end

local function detail_of_end(job)
  if job.status == 'succeeded' then
    return job.run == '1' and wait_bucket(job) or ''
  end
  return job_indexes.code_of(job) or ''
end

-- The hour in which the run of an ended job is counted, and the field.
local function counted_as(job)
  local outcome = not READ_KINDS[job.kind] and is_dry(job) and 'dry_run' or job.status
  return hour_of(job.finished), 'job:' .. job.account .. ':' ..
    (job_indexes.rule_of(job) or '') .. ':' .. job.kind .. ':' .. outcome .. ':' ..
    (outcome == 'dry_run' and '' or detail_of_end(job))
end

-- A report is no work of an account.
function stats.count_end(job, now)
  if job.kind == 'report' then return end
  local hour, field = counted_as(job)
  count_in_hour(hour, field, 1, now)
end

-- Takes back the count of a run's end when a person says how it really ended. One that an older
-- release has recorded was never counted.
function stats.uncount_end(job, now)
  local hour, field = counted_as(job)
  if tonumber(redis.call('HGET', stats_key(hour), field) or 0) > 0 then
    count_in_hour(hour, field, -1, now)
  end
end

function stats.count_callback(endpoint, outcome, now)
  count_in_hour(hour_of(now), 'callback:' .. endpoint .. ':' .. outcome, 1, now)
end
