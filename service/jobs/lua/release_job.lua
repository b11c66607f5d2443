#!lua flags=allow-oom
-- Gives a claimed job back unfinished.
-- ARGV   1 job id  2 owner  3 fence  4 to: queued | waiting | held | sending  5 reason
--        6 ms from now when to ring again (for held: 0 is never; queued is at once)
--        7 'counts' when this was an attempt (to sending: a look-up that found nothing), 'failed'
--        when a look-up could not be made, 'free' when it was not the job's doing
--        8 effects on the account (JSON: {hold} or {cool, kind, ms, again: 'double' | 'widen' | nil})
--        9 how many reads served it since the last step  10 'unsent' when its write never left
-- Reply  ok | lost | ended (it was canceled or expired meanwhile)
-- Keeps  out of `sending` only when the write is known not to have happened (the caller's word);
--        `sending` to `sending` leaves the intent for a later look-up.
local job = load_job(ARGV[1])
local now, to, reason, delay = clock(), ARGV[4], ARGV[5], tonumber(ARGV[6])

local function ours()
  return job and job.owner == ARGV[2] and job.fence == ARGV[3] and
    (job.status == 'running' or job.status == 'sending')
end

-- Nothing ends here, and only intent.lua makes a job `sending`.
local function may_go()
  if to == 'sending' then return job.status == 'sending' end
  return not FINAL[to] and allowed(job, to)
end

if not ours() or not may_go() then return 'lost' end
local effects = cjson.decode(ARGV[8])

-- A rest that follows the last one closely is longer: `double` up to a day; `widen` is for the
-- whole account and three days.
local function lengthened()
  local key, field = account_key(job), 'cools:' .. effects.cool
  local times, last = string.match(redis.call('HGET', key, field) or '0 0', '(%d+) (%d+)')
  local within = effects.again == 'widen' and 7 * DAY or DAY
  times = now - tonumber(last) < within and tonumber(times) or 0
  if effects.again == 'widen' and times > 0 then effects.kind, effects.ms = '*', 3 * DAY end
  if effects.again == 'double' then effects.ms = math.min(effects.ms * 2 ^ times, DAY) end
  -- Counted from its end: that is when the account begins to be trusted again.
  redis.call('HSET', key, field, times + 1 .. ' ' .. digits(now + effects.ms))
end

local function affect_account()
  local key = account_key(job)
  if effects.hold then put_on_hold(job.account, effects.hold, '', ARGV[2], now) end
  if effects.cool then
    if effects.again then lengthened() end
    local field, till = 'cool:' .. effects.kind, now + effects.ms
    if till > tonumber(redis.call('HGET', key, field) or 0) then
      redis.call('HSET', key, field, digits(till), 'cool_why:' .. effects.kind, effects.cool)
      audit(now, 'cool', effects.cool, ARGV[2], job.account, job)
    end
  end
  redis.call('SADD', 'hg:accts', job.account)
end

local function park(fields)
  unlist(job)
  fields.owner, fields.lease = '', 0
  fields.looks = (job.looks or 0) + (ARGV[7] == 'failed' and 1 or 0)
  fields.misses = job.misses + (ARGV[7] == 'counts' and 1 or 0)
  set(job, fields)
  redis.call('ZADD', 'hg:due', now + delay, job.id)
  note(job, now, 'sending', ARGV[2], reason)
end

local function ends(outcome) count('attempt', job.kind, outcome) end

charge_reads(job, ARGV[9], now)
affect_account()
local fields = {}
end_write(job, now, ARGV[10] ~= 'unsent', fields)
if ARGV[7] == 'free' and to ~= 'sending' then fields.attempts = math.max(0, job.attempts - 1) end
if to == 'waiting' and ARGV[7] == 'counts' then fields.strikes = (job.strikes or 0) + 1 end
if to == 'sending' then
  park(fields)
  ends('sending')
  leave_turn(job, now)
  return 'ok'
end
if job.status == 'sending' then
  forget_recipient(job)
  fields.intent_at = 0
end
set(job, fields)
if job.cancel ~= '' and job.status == 'running' then
  finalize(job, 'canceled', now, job.cancel, 'asked to')
  ends('canceled')
  return 'ended'
end
if expired(job, now) and job.status == 'running' then
  expire(job, now, ARGV[2])
  ends('expired')
  return 'ended'
end
ends(to)
-- Stands in line by its own order, and may have its turn at once.
if to == 'queued' then
  enter(job, now, ARGV[2], reason)
  return 'ok'
end
if to == 'held' and delay == 0 then
  hold(job, reason, now, ARGV[2])
elseif to == 'waiting' and effects.cool then
  wait(job, 'waiting', reason, 0, now, ARGV[2])
  line_up(job, reason)
else
  wait(job, to, reason, now + delay, now, ARGV[2])
end
leave_turn(job, now)
return 'ok'
