-- The account queue: an account makes one call at a time. Its jobs wait in sub-queues; the turn
-- goes to the first that may go, by priority and then by order. Waiting costs nothing: a turn that
-- ends is granted to the next job, and when all sub-queues are closed the account is looked at
-- again when the first of them opens (hg:alarms).
--- @include "config"
--- @include "records"
--- @include "notify"
--- @include "transitions"
--- @include "rate_limits"
--- @include "set_aside"
--- @include "photos"

-- The most jobs that one run of a script puts on hold: every other client waits meanwhile.
local MAX_HELD_PER_RUN = 25
-- The most jobs of newer releases that one look at a sub-queue steps over.
local MAX_STEPPED_OVER = 100

-- Adds the job to the sub-queue that its record names.
local function add_to_queue(job)
  redis.call('ZADD', queue_key(job.account, job.lane), queue_score(job), job.id)
  add_to_set(account_key(job) .. ':lanes', job.lane)
  add_to_set('hg:accts', job.account)
end

local function waiting_fields(job, why)
  local fields = idle_fields(why, 0)
  fields.lane = sub_queue_of(job)
  return fields
end

-- Adds the job to its sub-queue without a change of its state.
local function enqueue(job, why)
  set_fields(job, waiting_fields(job, why))
  add_to_queue(job)
end

-- Has the job wait for its turn. An unconfirmed write stays `sending` meanwhile.
local function enqueue_waiting(job, now, by, why)
  remove_from_queues(job)
  if job.status == 'sending' or job.status == 'waiting' then
    set_fields(job, waiting_fields(job, why))
  else
    transition(job, 'waiting', now, by, why, waiting_fields(job, why))
  end
  add_to_queue(job)
  schedule_expiry(job)
end

-- The first `wanted` jobs of a queue that this release can do, as {id, score}, and how many others
-- stand before or between them; those stay where they are.
local function first_own(key, wanted)
  local own, others = {}, 0
  local rows = redis.call('ZRANGE', key, 0, wanted + MAX_STEPPED_OVER - 1, 'WITHSCORES')
  for i = 1, #rows, 2 do
    if #own == wanted then break end
    if is_for_newer(rows[i]) then
      others = others + 1
    else
      own[#own + 1] = {rows[i], tonumber(rows[i + 1])}
    end
  end
  return own, others
end

-- Holds some jobs of a sub-queue that only a person can open; returns whether there are more.
local function hold_some(account, sub_queue, reason, now)
  local key = queue_key(account, sub_queue)
  local left = run.may_hold or MAX_HELD_PER_RUN
  if left == 0 then return redis.call('ZCARD', key) > 0 end
  local own, others = first_own(key, left)
  for _, entry in ipairs(own) do
    redis.call('ZREM', key, entry[1])
    local job = load_job(entry[1])
    if job and job.status == 'waiting' then hold(job, reason, now, 'account_queue') end
  end
  run.may_hold = left - #own
  return #own > 0 and redis.call('ZCARD', key) > others
end

-- The first job of an open sub-queue that this release can do, and its score; nil where there is
-- none. Those that only a newer release can do are stepped over, and it finds them by hg:newer.
local function head_of(account, sub_queue)
  local key = queue_key(account, sub_queue)
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if not is_for_newer(head[1]) then return head[1], tonumber(head[2]) end
  redis.call('SADD', 'hg:newer', account)
  local own = first_own(key, 1)[1]
  if own then return own[1], own[2] end
end

-- The first job that may go and its sub-queue, or nil, nil and when the next sub-queue opens, if
-- ever.
local function first_eligible(account, now)
  local sub_queues = redis.call('SMEMBERS', 'hg:acct:' .. account .. ':lanes')
  if not sub_queues[1] then return nil end
  local state = load_account(account)
  local best, best_queue, best_score, opens
  local function opens_at(ms) opens = math.min(opens or ms, ms) end
  for _, sub_queue in ipairs(sub_queues) do
    if redis.call('EXISTS', queue_key(account, sub_queue)) == 0 then
      remove_from_set('hg:acct:' .. account .. ':lanes', sub_queue)
    else
      local why, till = blocked_by(account, state, sub_queue, now)
      if not why then
        local head, score = head_of(account, sub_queue)
        if not head then
          opens_at(now + CONF.lease)
        elseif not best or score < best_score then
          best, best_queue, best_score = head, sub_queue, score
        end
      elseif till > 0 then
        opens_at(till)
      elseif KIND_OF[sub_queue] and hold_some(account, sub_queue, why, now) then
        opens_at(now)
      end
    end
  end
  return best, best_queue, opens
end

local function turn_holder(account) return redis.call('GET', 'hg:acct:' .. account .. ':turn') end

local function give_turn(account, id, now)
  redis.call('SET', 'hg:acct:' .. account .. ':turn', id)
  redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
  redis.call('ZREM', 'hg:alarms', account)
end

local function clear_turn(account, opens)
  redis.call('DEL', 'hg:acct:' .. account .. ':turn')
  redis.call('ZREM', 'hg:turns', account)
  if not opens then return redis.call('ZREM', 'hg:alarms', account) end
  redis.call('ZADD', 'hg:alarms', opens, account)
end

-- Grants the account's turn to the first job in its queue, or to none; returns that job's id. A
-- job that is being claimed (`claiming`) is in the queue too, and needs no wake-up.
local function grant_turn(account, now, claiming)
  while true do
    local best, sub_queue, opens = first_eligible(account, now)
    if not best then
      clear_turn(account, opens)
      return nil
    end
    redis.call('ZREM', queue_key(account, sub_queue), best)
    local job = load_job(best)
    if job and (best == claiming or job.status == 'waiting' or job.status == 'sending') then
      give_turn(account, best, now)
      if best == claiming then return best end
      if job.status == 'waiting' then
        requeue(job, now, 'account_queue', 'turn granted')
      else
        set_fields(job, {lane = ''})
        notify_worker(job.id, job.kind, now)
      end
      return best
    end
  end
end

local function holds_turn(job) return turn_holder(job.account) == job.id end

-- Whether a turn was granted and its holder has not claimed it yet: then another wake-up will come
-- by itself. A job that only a newer release can claim does not keep others waiting.
local function awaits_claim(holder)
  local status, kind, v = unpack(redis.call('HMGET', 'hg:job:' .. holder, 'status', 'kind', 'v'))
  return status == 'queued' and CONF.actors[kind] ~= nil and not is_newer({v = v}) and
    redis.call('ZSCORE', 'hg:wakes', holder) ~= false
end

-- Whether `holder` (nil or false for nobody) still has the account's turn. A turn is free when its
-- time is over, but not while its holder was notified and has not come yet: nobody overtakes it.
local function keeps_turn(holder, account, now)
  if not holder then return false end
  return tonumber(redis.call('ZSCORE', 'hg:turns', account) or 0) > now or awaits_claim(holder)
end

local function is_turn_taken(account, now) return keeps_turn(turn_holder(account), account, now) end

local function release_turn(job, now)
  if holds_turn(job) then grant_turn(job.account, now) end
end

local function grant_if_free(account, now)
  if redis.call('EXISTS', 'hg:acct:' .. account .. ':turn') == 0 then grant_turn(account, now) end
end

-- Has a job whose photo is missing wait for it outside of the queue; returns whether it does.
local function await_photo_if_missing(job, now, by)
  if not lacks_photo(job) then return false end
  await_photo(job, now, by, 'photo')
  release_turn(job, now)
  return true
end

-- Finds the place of a queued job that is in no index of work: it gets the turn, waits for it or
-- for its photo, or is held for a person.
local function admit(job, now, by)
  if await_photo_if_missing(job, now, by) then return end
  local account, sub_queue, holder = job.account, sub_queue_of(job), turn_holder(job.account)
  local state = load_account(account)
  local pause = paused_by(state, job.kind)
  if pause and sub_queue ~= 'look' then
    hold(job, pause, now, by)
    if holder == job.id then grant_turn(account, now) end
    return
  end
  if holder ~= job.id and keeps_turn(holder, account, now) then
    return enqueue_waiting(job, now, 'account_queue', 'turn')
  end
  -- Most accounts have an empty queue: then there is no first job to find.
  if not holder and redis.call('EXISTS', 'hg:acct:' .. account .. ':lanes') == 0 and
      not blocked_by(account, state, sub_queue, now) then
    give_turn(account, job.id, now)
    return notify_worker(job.id, job.kind, now)
  end
  enqueue(job, 'turn')
  if grant_turn(account, now, job.id) == job.id then
    set_fields(job, {lane = '', wait_reason = ''})
    notify_worker(job.id, job.kind, now)
  else
    enqueue_waiting(job, now, 'account_queue', 'turn')
  end
end

-- Puts a job that may begin now into the queue, and notifies a worker if it gets the turn. So the
-- order is that of the queue, whatever becomes due first.
local function requeue_or_grant(job, now, by, why)
  mark_queued(job, now, by, why)
  admit(job, now, by)
end

local function is_in_queue(job)
  local sub_queue = job.lane or ''
  return (job.status == 'waiting' or job.status == 'sending') and sub_queue ~= '' and
    redis.call('ZSCORE', queue_key(job.account, sub_queue), job.id) and
    redis.call('SISMEMBER', account_key(job) .. ':lanes', sub_queue) == 1
end

-- A held job is safe while a person keeps the account closed, or while a resume (`resuming`)
-- releases its jobs, some at a time.
local function is_held_for_person(job)
  if job.status ~= 'held' or not redis.call('ZSCORE', held_key(job), job.id) then return false end
  local state = load_account(job.account)
  return paused_by(state, job.kind) ~= nil or state.resuming ~= nil
end

-- Whether anything will bring an unended job or delivery back: an index of work, the account
-- queue, or a person.
local function is_reachable(record)
  for _, index in ipairs(WORK_INDEXES[record.status]) do
    if redis.call('ZSCORE', index, record.id) then return true end
  end
  return record.account ~= nil and (is_in_queue(record) or is_held_for_person(record)) or false
end

-- Whether jobs wait for an account that nothing would ever grant the turn to one of them.
local function is_stuck(account, now)
  if redis.call('EXISTS', 'hg:acct:' .. account .. ':turn') == 1 then return false end
  if redis.call('ZSCORE', 'hg:alarms', account) then return false end
  local state = load_account(account)
  for _, sub_queue in ipairs(redis.call('SMEMBERS', 'hg:acct:' .. account .. ':lanes')) do
    local _, till = blocked_by(account, state, sub_queue, now)
    if till ~= 0 and redis.call('ZCARD', queue_key(account, sub_queue)) > 0 then return true end
  end
  return false
end
