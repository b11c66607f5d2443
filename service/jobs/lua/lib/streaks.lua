-- Streaks: refusals of one account in a row (service/accounts/refusal_streaks.py).
--   hg:streak:{account}:unauthorized   set: ids of jobs
--   hg:streak:{account}:not_found      set: targets that were known and are not found
--- @include "rate_limits"

-- A success ends the account's streaks: any one shows that the session is accepted, and a read that
-- the account finds somebody.
local function end_streaks(job)
  local streak = 'hg:streak:' .. job.account
  redis.call('DEL', streak .. ':unauthorized')
  if READ_KINDS[job.kind] then redis.call('DEL', streak .. ':not_found') end
end
