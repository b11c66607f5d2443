-- Takes a job and its account's turn, or says why not.
-- ARGV   1 job id  2 owner (unique to this claim)
-- Reply  {verdict, fence, text or '', flat hash of the job, now}; verdict:
--        run      it is yours, nothing is written yet
--        lookup   it is yours, a write may have happened: look first
--        none     nothing to do (ended, another's, not due, waiting): the rest is empty
-- Keeps  one live claim per job and one per account; a claim asked for twice by one owner is
--        given twice (the first reply may have been lost). What reads is charged here, before its
--        call; a write in intent.lua.
local id, owner = ARGV[1], ARGV[2]
local now = clock()
local job = load_job(id)

local function nothing()
  count('claim', 'job', 'none')
  return {'none', 0, '', {}, now}
end

if not job then redis.call('ZREM', 'hg:wakes', id) return nothing() end
if is_newer(job) then return nothing() end

local function grant(verdict)
  count('claim', 'job', verdict)
  local flat = {}
  for name, value in pairs(job) do
    flat[#flat + 1], flat[#flat + 2] = name, value
  end
  return {verdict, tonumber(job.fence), redis.call('GET', 'hg:jobtext:' .. id) or '', flat, now}
end

-- Who may not go now waits in the line, or with a person, and has had his turn.
local function set_aside(why, till)
  local mine = has_turn(job)
  if till == 0 and job.status == 'queued' then hold(job, why, now, 'claim') else stand(job, now, 'claim', why) end
  if mine then grant_next(job.account, now) else grant_if_free(job.account, now) end
  return false
end

local function take_turn()
  local why, till = door(job.account, account_of(job.account), lane_of(job), now)
  if why then return set_aside(why, till) end
  if has_turn(job) then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, job.account)
    return true
  end
  if not is_taken(job.account, now) then
    line_up(job, 'turn')
    if grant_next(job.account, now, id) == id then return true end
  end
  stand(job, now, 'line', 'turn')
  return false
end

-- The fields of a claim that begins.
local function lease()
  unlist(job)
  redis.call('ZADD', 'hg:leases', now + CONF.lease, id)
  return {owner = owner, lease = now + CONF.lease, renewed = now, fence = job.fence + 1, echoes = 0,
    lane = '', wait_reason = ''}
end

if job.status == 'running' or job.status == 'sending' then
  if tonumber(job.lease) > now then
    if job.owner ~= owner then return nothing() end
    return grant(job.status == 'running' and 'run' or 'lookup')
  end
  if tonumber(job.lease) > 0 then lapse(job, now, 'claim') end
end
if FINAL[job.status] then redis.call('ZREM', 'hg:wakes', id) return nothing() end
if job.status == 'sending' then
  if tonumber(redis.call('ZSCORE', 'hg:due', id) or 0) > now then return nothing() end
  redis.call('ZREM', 'hg:wakes', id)
  if not take_turn() then return nothing() end
  set(job, lease())
  note(job, now, 'sending', owner, 'look-up')
  return grant('lookup')
end
if job.status == 'scheduled' then
  if tonumber(job.run_at) > now then return nothing() end
  requeue(job, now, 'claim', 'due')
end
if job.status ~= 'queued' then redis.call('ZREM', 'hg:wakes', id) return nothing() end
if expired(job, now) then expire(job, now, 'claim') return nothing() end
if tonumber(job.attempts) >= MOST_ATTEMPTS then
  finalize(job, 'failed', now, 'claim', 'begun too often', nil,
    '{"code":"attempts_exhausted","message":"The job was begun ' .. MOST_ATTEMPTS ..
    ' times without an end: look into the worker\'s log.","retryable":true}')
  return nothing()
end
if not take_turn() then return nothing() end
local claimed = lease()
claimed.started = tonumber(job.started) > 0 and job.started or now
claimed.attempts = job.attempts + 1
if READS[job.kind] then
  job.fence = digits(claimed.fence)
  begin_write(job, now)
  claimed.writing, claimed.charged = job.writing, job.fence
end
move(job, 'running', now, owner, '', claimed)
if READS[job.kind] or tonumber(job.intent_at) == 0 then return grant('run') end
-- A write of an earlier run may have happened.
move(job, 'sending', now, owner, 'look-up')
return grant('lookup')
