#!lua flags=no-writes
-- Reads what is known of targets, and which job looks each of them up now.
-- ARGV   for each target: target, patience (how long who waits may be kept waiting, ms)
-- Reply  for each target: see `lookup_state`; what blocks is told of the account of the job in
--        flight only
-- Keeps  reads only.
--- @include "arguments"
--- @include "lookup_cache"
local now = now_ms()

local function get(target, patience)
  local in_flight = job_in_flight(target)
  local why, till, since
  if in_flight and in_flight.status ~= 'running' then
    why, till, since = lookups_blocked_by(in_flight.account, now, tonumber(patience))
  end
  return lookup_state(target, now, in_flight, why, till, since)
end

local states = {}
for target, patience in argument_groups(ARGV, 1, 2) do
  states[#states + 1] = get(target, patience)
end
return states
