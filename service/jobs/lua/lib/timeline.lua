-- What happened to a job: its timeline, and the feed that live subscribers read.
--- @include "records"

local TIMELINE_LIMIT = 200
-- Entries take some hundred bytes: half a megabyte in all, or two with the longest results.
local FEED_LIMIT = 5000
local FEED_OUTCOME_LIMIT = 2048

-- Between its pages a follower export goes round through the account's queue. While its timeline
-- says that it runs, that is no news.
local ROTATION_STATES = {queued = true, waiting = true, running = true}
local ROTATION_REASONS = {[''] = true, page = true, turn = true, ['turn granted'] = true}

local function is_rotation(job, key, to, why)
  if not is_follower_export(job) then return false end
  if not (ROTATION_STATES[to] and ROTATION_REASONS[why or '']) then return false end
  local last = redis.call('LINDEX', key, -1)
  return last and string.match(last, '^%d+\t(%a+)') == 'running'
end

-- Tells live subscribers: an entry has all that they need to hear of a change.
local function publish(job, now, ...)
  redis.call('XADD', 'hg:feed', 'MAXLEN', '~', FEED_LIMIT, '*', 'job', job.id,
    'at', now_digits(now), ...)
end

-- How far a long job has come. This is no change of state and is stored nowhere else. Fields are
-- flat; numbers are whole and below 10^14.
local function publish_progress(job, fields, now)
  publish(job, now, 'progress', cjson.encode(fields))
end

-- An entry is ms, status, who and why with tabs between them.
local function timeline_entry(now, to, by, why)
  if string.find(by, '\t', 1, true) then by = string.gsub(by, '\t', ' ') end
  return now_digits(now) .. '\t' .. to .. '\t' .. by .. '\t' .. why
end

-- Entries are numbered from 1. `trimmed` counts those that are no longer kept, so an entry has the
-- same number whenever it is read.
local function append_timeline(job, now, to, by, why)
  local key = 'hg:jobtl:' .. job.id
  if is_rotation(job, key, to, why) then return end
  local length = redis.call('RPUSH', key, timeline_entry(now, to, by, why or ''))
  local number = digits(length + tonumber(job.trimmed or 0))
  if length > TIMELINE_LIMIT then
    local excess = length - TIMELINE_LIMIT
    redis.call('LTRIM', key, -TIMELINE_LIMIT, -1)
    job.trimmed = digits(redis.call('HINCRBY', 'hg:job:' .. job.id, 'trimmed', excess))
  end
  local outcome = {}
  if FINAL[to] and #job.result + #job.error <= FEED_OUTCOME_LIMIT then
    outcome = {'result', job.result, 'error', job.error}
  end
  publish(job, now, 'n', number, 'to', to, 'by', by, 'why', why or '', unpack(outcome))
end
