#!lua flags=allow-oom
-- Opens or closes an account for a person.
-- ARGV   account, action, note (pause: why; end_hold: the reasons that it ends, between spaces),
--        limit (the most jobs to release), by (who asks), kind ('' for all), address (where that
--        came from, '' for none). Action:
--        pause     close the account, or one kind of action
--        resume    end its holds and cooldowns, or those of one kind
--        end_hold  end its hold, if it is one of `note`
--        release   only release jobs that nothing holds any more
-- Reply  how many held jobs were released; there may be more when it is `limit`
-- Keeps  a resumed account has neither hold nor cooldown, and its held jobs wait in the account
--        queue in order. A hold that comes while a resume goes on is not ended by it.
--- @include "account_queue"
--- @include "account_holds"
local account, action, note, limit, by, kind, address = unpack(ARGV)
local key, now, max_released = 'hg:acct:' .. account, now_ms(), tonumber(limit)
redis.call('SADD', 'hg:accts', account)

if action == 'pause' then
  if kind == '' then
    hold_account(account, 'paused', note, by, now, address)
  else
    -- Audited every time, as other pauses are: so who sends again waits until it is durable.
    redis.call('HSETNX', key, 'pause:' .. kind, digits(now))
    audit(now, 'hold', 'paused:' .. kind, by, account, nil, address)
  end
  grant_if_free(account, now)
  return 0
end

-- Whether a resume ends what a field says: all of it, or what concerns one kind of action.
local function is_ended(field)
  if kind ~= '' then
    return field == 'pause:' .. kind or field == 'cool:' .. kind or field == 'cool_why:' .. kind or
      field == 'cool_at:' .. kind
  end
  return string.find(field, '^hold') or string.find(field, '^cool') or string.find(field, '^pause')
end

local function resume()
  local held = redis.call('HGET', key, 'hold')
  if kind == '' then
    local streak = 'hg:streak:' .. account
    redis.call('DEL', 'hg:logins:' .. account, streak .. ':unauthorized', streak .. ':not_found')
  end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if is_ended(field) then redis.call('HDEL', key, field) end
  end
  local why = kind ~= '' and 'paused:' .. kind or held or ''
  audit(now, 'resume', why, by, account, nil, address)
  if held and kind == '' then open_account_delivery(account, 'resumed', held, now) end
end

-- Ends only what the answer is for; a pause by a person stays.
local function answer()
  local held, paused, remark = unpack(redis.call('HMGET', key, 'hold', 'paused', 'paused_note'))
  if not held or not string.find(note, ' ' .. held .. ' ', 1, true) then return end
  redis.call('DEL', 'hg:logins:' .. account)
  redis.call('HDEL', key, 'hold', 'hold_note', 'hold_since', 'hold_met')
  audit(now, 'resume', held, by, account, nil, address)
  if paused then
    redis.call('HSET', key, 'hold', 'paused', 'hold_since', paused, 'hold_note', remark or '')
  else
    open_account_delivery(account, 'resumed', held, now)
  end
end

if action == 'resume' then resume() end
if action == 'end_hold' then answer() end
local state, released = load_account(account), 0
for each in pairs(CONF.actors) do
  local list = key .. ':held:' .. each
  local is_open = released < max_released and not paused_by(state, each)
  -- Those of a newer release are left to its own scheduler, which looks at every account.
  local held = is_open and first_own(list, max_released - released) or {}
  for _, entry in ipairs(held) do
    redis.call('ZREM', list, entry[1])
    local job = load_job(entry[1])
    if job and job.status == 'held' then
      -- First all of them are queued: their order is not that of the lists they were held in.
      remove_from_queues(job)
      transition(job, 'queued', now, by, 'account resumed')
      enqueue_waiting(job, now, 'account_queue', 'turn')
    end
  end
  released = released + #held
end
-- There may be more: the caller asks again, or else the scheduler's look at every account does.
if released == max_released then
  redis.call('HSET', key, 'resuming', '1')
else
  redis.call('HDEL', key, 'resuming')
end
grant_if_free(account, now)
return released
