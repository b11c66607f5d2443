#!lua flags=allow-oom
-- Takes what a process has measured of itself.
-- ARGV   1 process  2 its tier  3 for how long what it says holds (ms); 0 when it ends  4 the
--        longest its loop was late lately (microseconds)  5 how many listen to it live
--        then pairs: counter, by how much it grew
-- Reply  nothing
-- Keeps  counters only grow, also when their process ends.
local process, tier, keep, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), clock()
local key = 'hg:metrics:' .. process
for i = 6, #ARGV, 2 do redis.call('HINCRBY', 'hg:counters', ARGV[i], ARGV[i + 1]) end
if keep == 0 then
  redis.call('DEL', key)
  redis.call('ZREM', 'hg:processes', process)
  return
end
redis.call('HSET', key, 'tier', tier, 'peak_us', ARGV[4], 'listeners', ARGV[5])
redis.call('PEXPIRE', key, keep)
redis.call('ZADD', 'hg:processes', now, process)
redis.call('ZADD', 'hg:releases', now, RELEASE)
redis.call('ZREMRANGEBYSCORE', 'hg:processes', '-inf', digits(now - keep))
