#!lua flags=no-writes
-- Tells what is known of targets and which job looks, if any.
-- ARGV   for each, two: target, how long one who waits may be kept waiting (ms)
-- Reply  for each as `sight_of`; why the account of the job that looks is shut, not of any other
-- Keeps  reads only.
local now = clock()

local function see(target, patience)
  local flying = flight_of(target)
  local why, till, since
  if flying and flying.status ~= 'running' then
    why, till, since = barred(flying.account, now, tonumber(patience))
  end
  return sight_of(target, flying, why, till, since, now)
end

local sights = {}
for i = 1, #ARGV, 2 do sights[#sights + 1] = see(ARGV[i], ARGV[i + 1]) end
return sights
