-- Takes a job and its account's turn, or says why not.
-- ARGV   1 job id  2 owner (unique to this claim)
-- Reply  {verdict, fence, text or '', flat hash of the job, now}; verdict:
--        run      it is yours, nothing is written yet
--        lookup   it is yours, a write may have happened: look first
--        none     nothing to do (ended, another's, not due, waiting): the rest is empty
-- Keeps  one live claim per job and one per account; a claim asked for twice by one owner is
--        given twice (the first reply may have been lost).
local id, owner = ARGV[1], ARGV[2]
local now = clock()
local job = load_job(id)
local none = {'none', 0, '', {}, now}
if not job then redis.call('ZREM', 'hg:wakes', id) return none end
if is_newer(job) then return none end

local function grant(verdict)
  return {verdict, tonumber(job.fence), redis.call('GET', 'hg:jobtext:' .. id) or '',
    redis.call('HGETALL', 'hg:job:' .. id), now}
end

-- The turn is free when its holder's time is over. Who finds it taken, or others before him,
-- waits in the line, which costs nothing: the line rings when the turn comes.
local function take_turn()
  local key = account_key(job)
  local holder = redis.call('GET', key .. ':turn')
  if holder ~= id then
    local taken = holder and tonumber(redis.call('ZSCORE', 'hg:turns', job.account) or 0) > now
    local first = redis.call('ZRANGE', key .. ':line', 0, 0)[1]
    if taken or (first and first ~= id) then
      if job.status == 'queued' then wait(job, 'waiting', 'turn', 0, now, 'line') end
      redis.call('ZADD', key .. ':line', line_score(job), id)
      if not taken then grant_next(job.account, now) end
      return false
    end
    redis.call('SET', key .. ':turn', id)
  end
  redis.call('ZADD', 'hg:turns', now + CONF.lease, job.account)
  return true
end

local function lease()
  unlist(job)
  set(job, {owner = owner, lease = now + CONF.lease, renewed = now, fence = job.fence + 1, echoes = 0})
  redis.call('ZADD', 'hg:leases', now + CONF.lease, id)
end

if job.status == 'running' or job.status == 'sending' then
  if tonumber(job.lease) > now then
    if job.owner ~= owner then return none end
    return grant(job.status == 'running' and 'run' or 'lookup')
  end
  if tonumber(job.lease) > 0 then lapse(job, now, 'claim') end
end
if FINAL[job.status] then redis.call('ZREM', 'hg:wakes', id) return none end
if job.status == 'sending' then
  if tonumber(redis.call('ZSCORE', 'hg:due', id) or 0) > now then return none end
  redis.call('ZREM', 'hg:wakes', id)
  if closed_door(job, now) then
    unlist(job)
    -- Nobody may read for this account now: the look-up comes when somebody may.
    redis.call('ZADD', 'hg:due', now + CONF.recheck, id)
    redis.call('ZADD', account_key(job) .. ':looking', job.seq, id)
    leave_turn(job, now)
    return none
  end
  if not take_turn() then return none end
  lease()
  note(job, now, 'sending', owner, 'look-up')
  return grant('lookup')
end
if job.status == 'scheduled' then
  if tonumber(job.run_at) > now then return none end
  requeue(job, now, 'claim', 'due')
end
if job.status ~= 'queued' then redis.call('ZREM', 'hg:wakes', id) return none end
if expired(job, now) then expire(job, now, 'claim') return none end
if tonumber(job.attempts) >= MOST_ATTEMPTS then
  finalize(job, 'failed', now, 'claim', 'begun too often', nil,
    '{"code":"attempts_exhausted","message":"The job was begun ' .. MOST_ATTEMPTS ..
    ' times without an end: look into the worker\'s log.","retryable":true}')
  return none
end
local to, why, at = closed_door(job, now)
if to == 'held' then
  hold(job, why, now, 'claim')
  leave_turn(job, now)
  return none
end
if to then
  cool_down(job, why, at, now, 'claim')
  leave_turn(job, now)
  return none
end
if not take_turn() then return none end
lease()
set(job, {started = tonumber(job.started) > 0 and job.started or now, attempts = job.attempts + 1})
move(job, 'running', now, owner, '')
if tonumber(job.intent_at) == 0 then return grant('run') end
-- A write of an earlier run may have happened.
move(job, 'sending', now, owner, 'look-up')
return grant('lookup')
