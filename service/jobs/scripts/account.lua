-- Opens or closes an account for a person.
-- ARGV   1 account  2 'pause' or 'resume'  3 reason (pause)  4 the most held jobs to let go in one call
-- Reply  how many held jobs were let go
-- Keeps  a resumed account has neither hold nor cooldown, and its held jobs are queued in order.
local key, now = 'hg:acct:' .. ARGV[1], clock()
redis.call('SADD', 'hg:accts', ARGV[1])
if ARGV[2] == 'pause' then
  redis.call('HSET', key, 'hold', ARGV[3], 'hold_since', digits(now))
  return 0
end
for _, name in ipairs(redis.call('HKEYS', key)) do
  if name == 'hold' or name == 'hold_since' or string.sub(name, 1, 4) == 'cool' then
    redis.call('HDEL', key, name)
  end
end
local held = redis.call('ZRANGE', key .. ':held', 0, tonumber(ARGV[4]) - 1)
for _, id in ipairs(held) do
  redis.call('ZREM', key .. ':held', id)
  local job = load_job(id)
  if job and job.status == 'held' then requeue(job, now, 'person', 'account resumed') end
end
return #held
