-- Photos of DMs. One that is given by URL is fetched before its job asks for its account's turn, so
-- that a slow server delays no other job. Until it is stored the job is `waiting` outside of the
-- account queue. Who fetches it has a claim of the job, and not the turn; hg:due has the job until
-- it is stored, whether somebody fetches it (its lease), was woken to, or is to be.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "notify"
--- @include "transitions"
--- @include "set_aside"

-- Keeps a photo for as long as its job may wait, as far as that is known; the job's end deletes it.
local function keep_photo(id, jpeg, from, now)
  local ms = math.max(from, now) - now + CONF.keep
  redis.call('SET', 'hg:jobphoto:' .. id, jpeg, 'PX', digits(ms))
end

-- Whether a photo must be fetched before the job can go on. To verify an earlier write it need not.
local function lacks_photo(job)
  return job.photo ~= nil and string.find(job.photo, '"from":"url"', 1, true) ~= nil and
    tonumber(job.intent_at) == 0 and redis.call('EXISTS', 'hg:jobphoto:' .. job.id) == 0
end

-- Whether the job waits for its photo, or somebody fetches that. Between two attempts it waits for
-- the time of the next one.
local function awaits_photo(job) return job.status == 'waiting' and job.wait_reason == 'photo' end

-- Wakes a worker to fetch the photo, and later another if nobody claims, each time later.
local function notify_fetcher(job, now)
  send_message(CONF.photo_actor, job.id, now)
  redis.call('ZADD', 'hg:due', now + CONF.lease * math.min(2 ^ job.echoes, 32), job.id)
end

-- Has a job wait for its photo, which somebody is woken to fetch.
local function await_photo(job, now, by, why)
  remove_from_queues(job)
  local fields = idle_fields('photo', 0)
  fields.echoes = 0
  if job.status == 'waiting' then
    set_fields(job, fields)
    append_timeline(job, now, 'waiting', by, why)
  else
    transition(job, 'waiting', now, by, why, fields)
  end
  schedule_expiry(job)
  notify_fetcher(job, now)
end
