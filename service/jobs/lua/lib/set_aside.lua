-- Jobs that nobody works on: the indexes of work that lead on to them, and how they get there.
--- @include "config"
--- @include "records"
--- @include "notify"
--- @include "transitions"

local function account_key(job) return 'hg:acct:' .. job.account end

local function queue_score(job) return (9 - job.prio) * 4398046511104 + job.seq end

local function queue_key(account, sub_queue)
  return 'hg:acct:' .. account .. ':line:' .. sub_queue
end

local function held_key(job) return account_key(job) .. ':held:' .. job.kind end

-- By status of a job or delivery: the indexes from which heartbeat.lua acts on it.
local WORK_INDEXES = {
  scheduled = {'hg:due'}, queued = {'hg:wakes'}, waiting = {'hg:due'}, held = {'hg:due'},
  running = {'hg:leases'}, sending = {'hg:leases', 'hg:due', 'hg:wakes'},
  pending = {'hg:due', 'hg:wakes'}, delivering = {'hg:leases', 'hg:due'},
}

-- Takes a job that nobody works on out of every index of work that it can be in.
local function remove_from_queues(job)
  for _, index in ipairs(WORK_INDEXES[job.status] or {}) do redis.call('ZREM', index, job.id) end
  if (job.lane or '') ~= '' then redis.call('ZREM', queue_key(job.account, job.lane), job.id) end
  if job.status == 'held' then redis.call('ZREM', held_key(job), job.id) end
end

-- The fields of a job that has neither a claim nor a place in a queue.
local function idle_fields(reason, till)
  return {wait_reason = reason, wait_until = till, owner = '', lease = 0, lane = ''}
end

local function mark_queued(job, now, by, why)
  remove_from_queues(job)
  local fields = idle_fields('', 0)
  fields.echoes = 0
  if job.status == 'queued' then
    set_fields(job, fields)
  else
    transition(job, 'queued', now, by, why, fields)
  end
end

local function requeue(job, now, by, why)
  mark_queued(job, now, by, why)
  notify_worker(job.id, job.kind, now)
end

-- Sets the expiry of a job again: it may have passed while the job was claimed.
local function schedule_expiry(job)
  if tonumber(job.expires) > 0 then add_to_index('hg:expiry', job.expires, job.id) end
end

-- Sets the job aside until `at` (0 for no time), when the heartbeat brings it back.
local function set_aside(job, to, reason, at, now, by)
  remove_from_queues(job)
  transition(job, to, now, by, reason, idle_fields(reason, at))
  if at > 0 then redis.call('ZADD', 'hg:due', at, job.id) end
  schedule_expiry(job)
end

local function hold(job, reason, now, by)
  set_aside(job, 'held', reason, 0, now, by)
  redis.call('SADD', 'hg:accts', job.account)
  redis.call('ZADD', held_key(job), queue_score(job), job.id)
end
