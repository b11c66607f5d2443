-- Holds of an account: a hold, its audit entry and its callback are one step.
--- @include "audit_log"
--- @include "deliveries"

-- Holds the account until a person resumes it. A hold for an error keeps its first reason, and
-- takes the place of a pause; the pause comes back when a verification code has ended the hold.
-- `remark` ('' for none): why a person paused it; for an error, what happened and what to do.
-- `address`: where a person's pause came from.
local function hold_account(account, reason, remark, by, now, address)
  local key = 'hg:acct:' .. account
  redis.call('SADD', 'hg:accts', account)
  local held = redis.call('HGET', key, 'hold')
  if not held or (reason ~= 'paused' and held ~= reason) then
    redis.call('HSET', key, 'hold', reason, 'hold_note', '', 'hold_since', digits(now))
    audit(now, 'hold', reason, by, account, nil, address)
    local message = reason ~= 'paused' and remark ~= '' and remark or nil
    open_account_delivery(account, 'held', reason, now, message)
  elseif reason == 'paused' then
    audit(now, 'hold', reason, by, account, nil, address)
  end
  if reason == 'paused' then
    redis.call('HSET', key, 'paused', digits(now), 'paused_note', remark)
  end
  if remark ~= '' then redis.call('HSET', key, 'hold_note', remark) end
end
