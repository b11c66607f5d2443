-- Replays the next events of an operation.
-- ARGV   operation_id, done (how many of its events were done when the caller looked), then for
--        each event what the caller has found: event (source:id), entries (jobs to make: a JSON
--        list, see draft_encoding.py), notes (what each rule made of it, JSON), otherwise (the
--        outcome where no job is made), is_problem (1 if that is one, else 0), is_last (0 if more
--        entries of the same event follow, else 1), reference (JSON: source, event_id), new_names
--        (JSON: what list_plain_names.lua lists, each with the name of its tombstone)
-- Reply  {how many events are left (0 if it has ended), how many are done}
-- Keeps  each event's turn comes once, whoever calls this and however many do: the jobs that are
--        made and how far the operation has come are one step. A caller that was overtaken changes
--        nothing. An error of one event is its outcome.
--- @include "arguments"
--- @include "operations"
--- @include "event_jobs"
local operation_id, done = unpack(ARGV, 1, 2)
local FIRST_EVENT = 3
local operation, now = operations.load_running(operation_id), now_ms()
if not operation then return {0, 0} end
operations.touch(operation, now)
local key = operations.key(operation_id)
local is_overtaken = operations.count_done(operation) ~= tonumber(done)
local requester = {by = operation.by, address = operation.address, reason = operation.reason,
  operation = operation_id}
local results = {}

local function add_jobs(event, entries, notes, new_names)
  return event_jobs.add(event, cjson.decode(entries), notes, cjson.decode(new_names), now,
    requester)
end

-- The jobs that earlier steps have made of the same event, and those of this one.
local function all_made(created, replaced)
  local made = {}
  for id in string.gmatch(operation.partial or '', '%S+') do made[#made + 1] = id end
  for _, ids in ipairs({created, replaced}) do
    for _, id in ipairs(ids) do made[#made + 1] = id end
  end
  return made
end

-- The result of an event whose turn has ended, with all jobs that it got.
local function end_event(outcome, is_problem, made)
  operation.partial = nil
  return {outcome, is_problem, made}
end

local function leave(outcome, is_problem)
  return end_event(outcome, is_problem, all_made({}, {}))
end

local function replay(event, entries, notes, otherwise, is_problem, is_last, reference, new_names)
  if entries == '' then return leave(otherwise, is_problem == '1') end
  local found, ids, created, replaced = pcall(add_jobs, event, entries, notes, new_names)
  if not found then return leave('internal_error', true) end
  if not ids then return leave('unknown_event', true) end
  local made = all_made(created, replaced)
  if is_last == '0' then
    operation.partial = table.concat(made, ' ')
    return nil
  end
  audit(now, 'replay', job_actions.words_of(requester), requester.by, '*', {source = reference},
    requester.address)
  if made[1] then return end_event('replayed', false, made) end
  return end_event(otherwise, is_problem == '1', made)
end

if not is_overtaken then
  local partial = operation.partial
  for event, entries, notes, otherwise, is_problem, is_last, reference, new_names in
      argument_groups(ARGV, FIRST_EVENT, 8) do
    results[#results + 1] = replay(event, entries, notes, otherwise, is_problem, is_last, reference,
      new_names)
  end
  if results[1] then operations.record(operation, results) end
  if operation.partial then
    redis.call('HSET', key, 'partial', operation.partial)
  elseif partial then
    redis.call('HDEL', key, 'partial')
  end
end
return {operations.finish_if_done(operation, now), operations.count_done(operation)}
