-- Claims a job and its account's turn, or says why not.
-- ARGV   job_id, owner (unique to this claim)
-- Reply  {verdict, fence, text or '', flat hash of the job, now}; verdict:
--        run      it is claimed, and nothing is written yet
--        lookup   it is claimed, and a write may have happened: verify that first
--        none     nothing to do (ended, another's, not due, waiting); the rest is empty
-- Keeps  one live claim per job and one per account. An owner that asks twice gets the same claim
--        twice (the first reply may have been lost). A read is charged here, before its call; a
--        write in record_intent.lua.
--- @include "clock_steps"
--- @include "finalize"
local job_id, owner = unpack(ARGV)
local job, now = load_job(job_id), now_ms()

local function nothing()
  count('claim', 'job', 'none')
  return {'none', 0, '', {}, now}
end

local function nothing_ever()
  redis.call('ZREM', 'hg:wakes', job_id)
  return nothing()
end

if not job then return nothing_ever() end
if is_newer(job) then return nothing() end

local function grant(verdict)
  count('claim', 'job', verdict)
  local flat = {}
  if verdict == 'lookup' then
    job.intent_at = digits(clock_steps.intended_at(job.intent_at, now))
  end
  for name, value in pairs(job) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  local text = redis.call('GET', 'hg:jobtext:' .. job_id) or ''
  return {verdict, tonumber(job.fence), text, flat, now}
end

-- A job that may not go now waits in the queue, or for a person, and gives up its turn.
local function give_way(why, till)
  local had_turn = holds_turn(job)
  if till == 0 and job.status == 'queued' then
    hold(job, why, now, 'claim')
  else
    enqueue_waiting(job, now, 'claim', why)
  end
  if had_turn then grant_turn(job.account, now) else grant_if_free(job.account, now) end
  return false
end

local function take_turn()
  local account = job.account
  local why, till = blocked_by(account, load_account(account), sub_queue_of(job), now)
  if why then return give_way(why, till) end
  if holds_turn(job) then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
    return true
  end
  if not is_turn_taken(account, now) then
    enqueue(job, 'turn')
    if grant_turn(account, now, job_id) == job_id then return true end
  end
  enqueue_waiting(job, now, 'account_queue', 'turn')
  return false
end

-- Begins a lease; returns the fields of the claim.
local function begin_lease()
  remove_from_queues(job)
  redis.call('ZADD', 'hg:leases', now + CONF.lease, job_id)
  return {owner = owner, lease = now + CONF.lease, renewed = now, fence = job.fence + 1,
    echoes = 0, lane = '', wait_reason = ''}
end

if job.status == 'running' or job.status == 'sending' then
  if tonumber(job.lease) > now then
    if job.owner ~= owner then return nothing() end
    return grant(job.status == 'running' and 'run' or 'lookup')
  end
  if tonumber(job.lease) > 0 then expire_lease(job, now, 'claim') end
end
if FINAL[job.status] then return nothing_ever() end
if job.status == 'sending' then
  if tonumber(redis.call('ZSCORE', 'hg:due', job_id) or 0) > now then return nothing() end
  redis.call('ZREM', 'hg:wakes', job_id)
  if not take_turn() then return nothing() end
  set_fields(job, begin_lease())
  append_timeline(job, now, 'sending', owner, 'verification lookup')
  return grant('lookup')
end
if job.status == 'scheduled' then
  if tonumber(job.run_at) > now then return nothing() end
  requeue(job, now, 'claim', 'due')
end
if job.status ~= 'queued' then return nothing_ever() end
if end_if_hopeless(job, now, 'claim') then return nothing() end
local look_first = history.must_look_first(job, now)
if not look_first and await_photo_if_missing(job, now, 'claim') then return nothing() end
if not take_turn() then return nothing() end
local claimed = begin_lease()
claimed.started = tonumber(job.started) > 0 and job.started or now
claimed.attempts = job.attempts + 1
if READ_KINDS[job.kind] then
  job.fence = digits(claimed.fence)
  charge_call(job, now)
  claimed.writing, claimed.charged = job.writing, job.fence
end
transition(job, 'running', now, owner, '', claimed)
if look_first then
  count('history_lookup', job.kind)
  transition(job, 'sending', now, owner, 'history lost: looked for first',
    {intent_at = history.lost_since(now), lost_until = history.lost_until(),
      checked = history.epoch(), doubt = 'history', misses = 0, looks = 0})
  return grant('lookup')
end
if READ_KINDS[job.kind] or tonumber(job.intent_at) == 0 then return grant('run') end
-- A write of an earlier run may have happened.
transition(job, 'sending', now, owner, 'verification lookup')
return grant('lookup')
