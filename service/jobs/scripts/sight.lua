#!lua flags=no-writes
-- Tells what is known of a target and which job looks, if any.
-- ARGV   1 target  2 how long one who waits may be kept waiting (ms)
-- Reply  as `sight_of`; why the account of the job that looks is shut, not of any other
-- Keeps  reads only.
local target, now = ARGV[1], clock()
local flying = flight_of(target)
local why, till, since
if flying and flying.status ~= 'running' then
  why, till, since = barred(flying.account, now, tonumber(ARGV[2]))
end
return sight_of(target, flying, why, till, since, now)
