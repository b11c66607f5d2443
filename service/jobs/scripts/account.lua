#!lua flags=allow-oom
-- Opens or closes an account for a person.
-- ARGV   1 account  2 'pause', 'resume', or 'go_on' with a resume  3 a person's note (pause)
--        4 the most jobs of each kind of wait to let go in one call
-- Reply  how many jobs were let go
-- Keeps  a resumed account has neither hold nor cooldown, and what these kept is queued in order;
--        a hold that comes while a resume goes on is not ended by it.
local key, now = 'hg:acct:' .. ARGV[1], clock()
redis.call('SADD', 'hg:accts', ARGV[1])
if ARGV[2] == 'pause' then
  -- What an error has put on hold stays so, with its reason: the pause adds a note.
  if redis.call('HSETNX', key, 'hold', 'paused') == 1 then
    redis.call('HSET', key, 'hold_note', '', 'hold_since', digits(now))
  end
  if ARGV[3] ~= '' then redis.call('HSET', key, 'hold_note', ARGV[3]) end
  return 0
end
if ARGV[2] == 'resume' then
  redis.call('DEL', 'hg:logins:' .. ARGV[1])
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 4) == 'hold' or string.sub(name, 1, 4) == 'cool' then
      redis.call('HDEL', key, name)
    end
  end
elseif redis.call('HEXISTS', key, 'hold') == 1 then
  return 0
end

local function let_go(list, status)
  local kept = redis.call('ZRANGE', key .. list, 0, tonumber(ARGV[4]) - 1)
  for _, id in ipairs(kept) do
    redis.call('ZREM', key .. list, id)
    local job = load_job(id)
    if job and job.status == status then requeue(job, now, 'person', 'account resumed') end
  end
  return #kept
end

for _, id in ipairs(redis.call('ZRANGE', key .. ':looking', 0, tonumber(ARGV[4]) - 1)) do
  redis.call('ZREM', key .. ':looking', id)
  redis.call('ZADD', 'hg:due', now, id)
end
return let_go(':held', 'held') + let_go(':cooling', 'waiting')
