#!lua flags=allow-oom
-- The switch for every account at once.
-- ARGV   1 'pause' or 'resume'  2 a person's note  3 who asks
-- Reply  whether it was off (1) or on (0) before
-- Keeps  nothing is claimed or written while it is off; accounts keep their own holds.
local now = clock()
local was = redis.call('EXISTS', 'hg:paused')
if ARGV[1] == 'pause' then
  if was == 0 then redis.call('HSET', 'hg:paused', 'why', 'paused', 'since', digits(now), 'note', '') end
  if ARGV[2] ~= '' then redis.call('HSET', 'hg:paused', 'note', ARGV[2]) end
else
  redis.call('DEL', 'hg:paused')
end
audit(now, ARGV[1] == 'pause' and 'hold' or 'resume', 'everything', ARGV[3], '*')
return was
