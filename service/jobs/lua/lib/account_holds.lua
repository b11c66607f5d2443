-- Holds of an account: a hold, its audit entry and its callback are one step.
--- @include "audit_log"
--- @include "deliveries"

-- What the callback of a hold says; a pause is a person's own doing.
local function about_hold(remark, met)
  if not met then return {} end
  local asks = met.asks or {}
  return {message = remark ~= '' and remark or nil, job_id = met.job, remedy = asks.remedy,
    accepts_code = asks.accepts_code, instagram = met.said}
end

-- Begins with when the hold began: a release that does not know the field leaves it to a later
-- hold, which it does not belong to.
local function hold_met(key, met)
  local said = met.said and cjson.encode(met.said) or '{}'
  return redis.call('HGET', key, 'hold_since') .. ' ' .. met.job .. ' ' .. said
end

-- Holds the account until a person resumes it. A hold for an error keeps its first reason, and
-- takes the place of a pause; the pause comes back when a verification code has ended the hold.
-- `remark` ('' for none): why a person paused it; for an error, what happened and what to do.
-- `address`: where a person's pause came from. `met` (nil for a pause): {job: which one met it,
-- asks: what it asks of a person, said: what Instagram said}, the last two as
-- service/accounts/holds.py has them.
local function hold_account(account, reason, remark, by, now, address, met)
  local key = 'hg:acct:' .. account
  redis.call('SADD', 'hg:accts', account)
  local held = redis.call('HGET', key, 'hold')
  if not held or (reason ~= 'paused' and held ~= reason) then
    redis.call('HSET', key, 'hold', reason, 'hold_note', '', 'hold_since', digits(now))
    audit(now, 'hold', reason, by, account, nil, address)
    open_account_delivery(account, 'held', reason, now, about_hold(remark, met))
  elseif reason == 'paused' then
    audit(now, 'hold', reason, by, account, nil, address)
  end
  if reason == 'paused' then
    redis.call('HSET', key, 'paused', digits(now), 'paused_note', remark)
  end
  if remark ~= '' then redis.call('HSET', key, 'hold_note', remark) end
  if met then redis.call('HSET', key, 'hold_met', hold_met(key, met)) end
end
