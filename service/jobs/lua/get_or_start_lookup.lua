-- Reads what is known of targets, and has one job look up each of which nothing fresh is known.
-- ARGV   for each target: target, fresh (how long a result is fresh, ms), entry (JSON, as for
--        create_job, without an account), accounts (that may look it up, between spaces),
--        patience (how long who waits may be kept waiting, ms)
-- Reply  for each target: see `lookup_state`
-- Keeps  one lookup of a target at a time, however many ask and wherever. A job that waits for an
--        account that was closed is replaced by one of an account that is open.
--- @include "arguments"
--- @include "lookup_cache"
--- @include "create_job"
local now = now_ms()

local function is_settled(target, fresh_ms)
  local known = load_hash(found_key(target)) or {}
  return (known.body and is_within(known.at, fresh_ms, now)) or
    (known.problem and is_within(known.problem_at, PROBLEM_MS, now))
end

local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return words
end

local function start(target, account, job)
  job.account, job.target = account, target
  local job_id = create_job(job, job.source, now)
  redis.call('SET', in_flight_key(target), job_id, 'PX', digits(HOUR))
  return load_job(job.id)
end

local function get_or_start(target, fresh_ms, entry, accounts, patience)
  if is_settled(target, fresh_ms) then return lookup_state(target, now) end
  local in_flight = job_in_flight(target)
  if in_flight and (in_flight.status == 'running' or is_newer(in_flight) or
      not lookups_blocked_by(in_flight.account, now, patience)) then
    return lookup_state(target, now, in_flight)
  end
  local account, why, till, since = pick_account(words_of(accounts), now, patience)
  if not account then
    return lookup_state(target, now, in_flight, why or 'no_account', till, since)
  end
  if in_flight then finalize(in_flight, 'canceled', now, 'lookup', 'moved to another account') end
  return lookup_state(target, now, start(target, account, cjson.decode(entry)))
end

local states = {}
for target, fresh, entry, accounts, patience in argument_groups(ARGV, 1, 5) do
  states[#states + 1] = get_or_start(target, tonumber(fresh), entry, accounts, tonumber(patience))
end
return states
