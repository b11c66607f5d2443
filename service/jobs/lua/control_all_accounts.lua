#!lua flags=allow-oom
-- Pauses or resumes all accounts at once.
-- ARGV   action (pause | resume), note (why, for people), by (who asks), address (where
--        that came from, '' for none)
-- Reply  1 when all accounts were paused before, else 0
-- Keeps  while all accounts are paused nothing is claimed or written; accounts keep their holds.
--- @include "audit_log"
local action, note, by, address = unpack(ARGV)
local now = now_ms()
local was_paused = redis.call('EXISTS', 'hg:paused')
if action == 'pause' then
  if was_paused == 0 then
    redis.call('HSET', 'hg:paused', 'why', 'paused', 'since', digits(now), 'note', '')
  end
  if note ~= '' then redis.call('HSET', 'hg:paused', 'note', note) end
else
  redis.call('DEL', 'hg:paused')
end
audit(now, action == 'pause' and 'hold' or 'resume', 'everything', by, '*', nil, address)
return was_paused
