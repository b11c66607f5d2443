-- Whose turn it is: each account does one thing at a time, the first that may go by priority and
-- then by order. Waiting costs nothing: a turn that ends gives the next, and where everybody waits
-- for a door to open the account has an alarm.

-- The most that one run of a script holds: it keeps everybody else waiting meanwhile.
local MAY_HOLD = 25

local function account_key(job) return 'hg:acct:' .. job.account end

local function line_score(job) return (9 - job.prio) * 4398046511104 + job.seq end

local function line_key(account, lane) return 'hg:acct:' .. account .. ':line:' .. lane end

local function held_key(job) return account_key(job) .. ':held:' .. job.kind end

-- By status of a job or delivery, the alarms on which tick.lua does something for it.
local ALARMS = {
  scheduled = {'hg:due'}, queued = {'hg:wakes'}, waiting = {'hg:due'}, held = {'hg:due'},
  running = {'hg:leases'}, sending = {'hg:leases', 'hg:due', 'hg:wakes'},
  pending = {'hg:due', 'hg:wakes'}, delivering = {'hg:leases', 'hg:due'},
}

-- A job that nobody works on any more leaves every index of work that it can be in.
local function unlist(job)
  for _, alarm in ipairs(ALARMS[job.status] or {}) do redis.call('ZREM', alarm, job.id) end
  if (job.lane or '') ~= '' then redis.call('ZREM', line_key(job.account, job.lane), job.id) end
  if job.status == 'held' then redis.call('ZREM', held_key(job), job.id) end
end

local function requeue(job, now, who, why)
  unlist(job)
  move(job, 'queued', now, who, why,
    {wait_reason = '', wait_until = 0, owner = '', lease = 0, lane = '', echoes = 0})
  ring(job.id, job.kind, now)
end

-- The alarm of a job that was claimed when it rang is set again.
local function arm_expiry(job)
  if tonumber(job.expires) > 0 then index('hg:expiry', job.expires, job.id) end
end

-- Sets the job aside until `at`; the pulse brings it back then.
local function wait(job, to, reason, at, now, who)
  unlist(job)
  move(job, to, now, who, reason,
    {wait_reason = reason, wait_until = at, owner = '', lease = 0, lane = ''})
  if at > 0 then redis.call('ZADD', 'hg:due', at, job.id) end
  arm_expiry(job)
end

local function hold(job, reason, now, who)
  wait(job, 'held', reason, 0, now, who)
  redis.call('SADD', 'hg:accts', job.account)
  redis.call('ZADD', held_key(job), line_score(job), job.id)
end

-- Adds the job, whose lane is known, to those who wait.
local function join_line(job)
  redis.call('ZADD', line_key(job.account, job.lane), line_score(job), job.id)
  enroll(account_key(job) .. ':lanes', job.lane)
  enroll('hg:accts', job.account)
end

local function lined_up(job, why)
  return {wait_reason = why, wait_until = 0, owner = '', lease = 0, lane = lane_of(job)}
end

local function line_up(job, why)
  set(job, lined_up(job, why))
  join_line(job)
end

-- Puts the job where it waits for its turn. A write in doubt stays what it is there.
local function stand(job, now, who, why)
  unlist(job)
  if job.status == 'sending' or job.status == 'waiting' then
    set(job, lined_up(job, why))
  else
    move(job, 'waiting', now, who, why, lined_up(job, why))
  end
  join_line(job)
  arm_expiry(job)
end

-- Jobs whose lane a person must open are held, some at a time; tells whether there are more.
local function hold_some(account, lane, reason, now)
  local key = line_key(account, lane)
  run.may_hold = run.may_hold or MAY_HOLD
  for _, id in ipairs(run.may_hold > 0 and redis.call('ZRANGE', key, 0, run.may_hold - 1) or {}) do
    redis.call('ZREM', key, id)
    run.may_hold = run.may_hold - 1
    local job = load_job(id)
    if job and job.status == 'waiting' then hold(job, reason, now, 'line') end
  end
  return redis.call('ZCARD', key) > 0
end

-- The first in line that may go, by all lanes; or when the next of them opens, if ever.
local function first_eligible(name, now)
  local lanes = redis.call('SMEMBERS', 'hg:acct:' .. name .. ':lanes')
  if not lanes[1] then return nil end
  local account = account_of(name)
  local best, best_lane, best_score, alarm
  local function ring_at(ms) alarm = math.min(alarm or ms, ms) end
  for _, lane in ipairs(lanes) do
    local head = redis.call('ZRANGE', line_key(name, lane), 0, 0, 'WITHSCORES')
    if not head[1] then
      strike('hg:acct:' .. name .. ':lanes', lane)
    else
      local why, till = door(name, account, lane, now)
      local score = tonumber(head[2])
      if not why then
        if not best or score < best_score then best, best_lane, best_score = head[1], lane, score end
      elseif till > 0 then
        ring_at(till)
      elseif KIND_OF[lane] and hold_some(name, lane, why, now) then
        ring_at(now)
      end
    end
  end
  return best, best_lane, alarm
end

local function turn_of(name) return redis.call('GET', 'hg:acct:' .. name .. ':turn') end

local function give_turn(name, id, now)
  redis.call('SET', 'hg:acct:' .. name .. ':turn', id)
  redis.call('ZADD', 'hg:turns', now + CONF.lease, name)
  redis.call('ZREM', 'hg:alarms', name)
end

-- Gives the account's turn to the first in its line, or to nobody. `asker`, who stands in the line
-- too, claims already: it is told and not rung for.
local function grant_next(name, now, asker)
  local key = 'hg:acct:' .. name
  while true do
    local best, lane, alarm = first_eligible(name, now)
    if not best then
      redis.call('DEL', key .. ':turn')
      redis.call('ZREM', 'hg:turns', name)
      if alarm then redis.call('ZADD', 'hg:alarms', alarm, name) else redis.call('ZREM', 'hg:alarms', name) end
      return nil
    end
    redis.call('ZREM', line_key(name, lane), best)
    local job = load_job(best)
    if job and (best == asker or job.status == 'waiting' or job.status == 'sending') then
      give_turn(name, best, now)
      if best == asker then return best end
      if job.status == 'waiting' then
        requeue(job, now, 'line', 'its turn')
      else
        set(job, {lane = ''})
        ring(job.id, job.kind, now)
      end
      return best
    end
  end
end

local function has_turn(job) return turn_of(job.account) == job.id end

-- Whether a turn was granted and not claimed yet: its holder's wake-up rings again by itself. What
-- only a newer release can claim does not keep the others waiting.
local function is_called(holder)
  local status, kind, v = unpack(redis.call('HMGET', 'hg:job:' .. holder, 'status', 'kind', 'v'))
  return status == 'queued' and CONF.actors[kind] ~= nil and not is_newer({v = v}) and
    redis.call('ZSCORE', 'hg:wakes', holder) ~= false
end

-- Whether an account's turn is its holder's (nil or false for nobody) still; it is free when his time
-- is over, but for one who was called and has not come yet: nobody overtakes him.
local function keeps_turn(holder, name, now)
  if not holder then return false end
  return tonumber(redis.call('ZSCORE', 'hg:turns', name) or 0) > now or is_called(holder)
end

-- Whether somebody has the account's turn.
local function is_taken(name, now) return keeps_turn(turn_of(name), name, now) end

local function leave_turn(job, now)
  if has_turn(job) then grant_next(job.account, now) end
end

-- Looks whether somebody in line may go, where nobody has the turn.
local function grant_if_free(name, now)
  if redis.call('EXISTS', 'hg:acct:' .. name .. ':turn') == 0 then grant_next(name, now) end
end

-- Gives a queued job, which is in no index of work, its turn, its place in the line, or to a person.
local function place(job, now, who)
  local name, lane, holder = job.account, lane_of(job), turn_of(job.account)
  local account = account_of(name)
  local halt = stopped(account, job.kind)
  if halt and lane ~= 'look' then
    hold(job, halt, now, who)
    if holder == job.id then grant_next(name, now) end
    return
  end
  if holder ~= job.id and keeps_turn(holder, name, now) then return stand(job, now, 'line', 'turn') end
  -- Most accounts have nobody in line: then there is nobody to look through.
  if not holder and redis.call('EXISTS', 'hg:acct:' .. name .. ':lanes') == 0 and
      not door(name, account, lane, now) then
    give_turn(name, job.id, now)
    return ring(job.id, job.kind, now)
  end
  line_up(job, 'turn')
  if grant_next(name, now, job.id) == job.id then
    set(job, {lane = '', wait_reason = ''})
    ring(job.id, job.kind, now)
  else
    stand(job, now, 'line', 'turn')
  end
end

-- Takes a job that may be begun now into the line, and rings for it where its turn has come: so the
-- order is that of the line, whoever hears of what first.
local function enter(job, now, who, why)
  unlist(job)
  local fields = {wait_reason = '', wait_until = 0, owner = '', lease = 0, lane = '', echoes = 0}
  if job.status == 'queued' then set(job, fields) else move(job, 'queued', now, who, why, fields) end
  place(job, now, who)
end

local function stands_in_line(job)
  local lane = job.lane or ''
  return (job.status == 'waiting' or job.status == 'sending') and lane ~= '' and
    redis.call('ZSCORE', line_key(job.account, lane), job.id) and
    redis.call('SISMEMBER', account_key(job) .. ':lanes', lane) == 1
end

-- `resuming`: the account is open, and somebody lets them go just now, some at a time.
local function stands_held(job)
  if job.status ~= 'held' or not redis.call('ZSCORE', held_key(job), job.id) then return false end
  local account = account_of(job.account)
  return stopped(account, job.kind) ~= nil or account.resuming ~= nil
end

-- Whether something will bring an unended job or delivery back: an alarm, the line, or a person.
local function is_led_to(record)
  for _, alarm in ipairs(ALARMS[record.status]) do
    if redis.call('ZSCORE', alarm, record.id) then return true end
  end
  return record.account ~= nil and (stands_in_line(record) or stands_held(record)) or false
end

-- Whether somebody waits for an account that nothing would ever give its turn to.
local function is_stuck(name, now)
  if redis.call('EXISTS', 'hg:acct:' .. name .. ':turn') == 1 then return false end
  if redis.call('ZSCORE', 'hg:alarms', name) then return false end
  local account = account_of(name)
  for _, lane in ipairs(redis.call('SMEMBERS', 'hg:acct:' .. name .. ':lanes')) do
    local _, till = door(name, account, lane, now)
    if till ~= 0 and redis.call('ZCARD', line_key(name, lane)) > 0 then return true end
  end
  return false
end
